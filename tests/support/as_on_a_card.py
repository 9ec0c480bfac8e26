"""Run on a processor what a GPU runs, and count what it is asked to do."""

import contextlib
from collections import Counter
from collections.abc import Iterator

from torch.utils._python_dispatch import TorchDispatchMode

from rosetta_scaling.numerics import devices

READS = ("aten._local_scalar_dense.default", "aten.nonzero.default", "aten.item.default")  # each waits for a GPU


@contextlib.contextmanager
def as_on_a_card() -> Iterator[None]:
    """Inside the block every device counts as a GPU."""
    before = devices.is_card
    devices.is_card = lambda device: True
    try:
        yield
    finally:
        devices.is_card = before


class Operators(TorchDispatchMode):
    """Counts the operators of torch inside the block; `reads` are those that wait for the device."""

    def __init__(self):
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count[str(func)] += 1
        return func(*args, **(kwargs or {}))

    @property
    def reads(self) -> int:
        return sum(self.count[name] for name in READS)
