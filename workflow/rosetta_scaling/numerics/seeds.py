"""Seeds of random numbers from names, so that no draw depends on the order in which things are done."""

import torch

from rosetta_scaling.store.digests import digest


def seed_from(value: object) -> int:
    """A number of 64 bits decided by any JSON-like value, such as a list of names: a seed for numpy."""
    return int(digest(value), 16)


def torch_seed(value: object) -> int:
    """The same for torch, which takes seeds of 63 bits."""
    return seed_from(value) % 2**63


def generator(*names: object) -> torch.Generator:
    """Random numbers drawn on the processor, the same on every device, decided by any JSON-like values."""
    return torch.Generator().manual_seed(torch_seed(list(names)))
