"""Seeds of random numbers from names, so that no draw depends on the order in which things are done."""

from typing import TYPE_CHECKING

import numpy as np

from rosetta_scaling.store.digests import digest

if TYPE_CHECKING:
    import torch


def seed_from(value: object) -> int:
    """A number of 64 bits decided by any JSON-like value, such as a list of names: a seed for numpy."""
    return int(digest(value), 16)


def torch_seed(value: object) -> int:
    """The same for torch, which takes seeds of 63 bits."""
    return seed_from(value) % 2**63


def generator(*names: object) -> "torch.Generator":
    """Random numbers drawn on the processor, the same on every device, decided by any JSON-like values."""
    import torch  # here, because jobs of tables do without it

    return torch.Generator().manual_seed(torch_seed(list(names)))


def random_subset(count: int, size: int | None, *names: object) -> np.ndarray:
    """`size` random numbers of 0 ... count - 1, sorted; all of them when there are no more, or `size` is None."""
    if size is None or size >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed_from(list(names))).choice(count, size, replace=False))
