"""Random generators from names."""

import torch

from rosetta_scaling.store.digests import digest


def generator(*seed) -> torch.Generator:
    """Random numbers on the processor, the same on every device, decided by any JSON-like values."""
    return torch.Generator().manual_seed(int(digest(list(seed)), 16) % 2**63)
