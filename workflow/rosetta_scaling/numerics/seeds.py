"""Random generators from names."""

import numpy as np
import torch

from rosetta_scaling.store.digests import digest


def generator(*seed) -> torch.Generator:
    """Random numbers on the processor, the same on every device, decided by any JSON-like values."""
    return torch.Generator().manual_seed(int(digest(list(seed)), 16) % 2**63)


def random_subset(count: int, size: int | None, *seed) -> np.ndarray:
    """`size` random numbers of 0 ... count - 1, sorted; all of them when there are no more, or `size` is None."""
    if size is None or size >= count:
        return np.arange(count)
    random = np.random.default_rng(int(digest(list(seed)), 16))
    return np.sort(random.choice(count, size, replace=False))
