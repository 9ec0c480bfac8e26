"""Run on a processor what a GPU runs, its kernels in Triton's interpreter, and count what it is asked to do."""

import contextlib
import importlib.util
import os
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
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


# Triton asks for the variable when it is imported, so conftest.py imports this file first.
INTERPRETED = importlib.util.find_spec("triton") is not None and not torch.cuda.is_available()
if INTERPRETED:
    os.environ["TRITON_INTERPRET"] = "1"
needs_triton = pytest.mark.skipif(
    not INTERPRETED, reason="Triton is not here, or would run on a GPU, where `make bench DEVICE=cuda` checks kernels"
)


@contextlib.contextmanager
def with_kernels() -> Iterator[None]:
    """Inside the block every device counts as a GPU, and Triton's interpreter runs the kernels on the processor."""
    before = devices.runs_kernels
    devices.runs_kernels = lambda values: True
    try:
        with as_on_a_card():
            yield
    finally:
        devices.runs_kernels = before


class Allocated(TorchDispatchMode):
    """The most bytes of tensors made inside the block that were in memory at once."""

    def __init__(self):
        super().__init__()
        self.made: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {address for address, _ in _storages((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        for address, storage in _storages(result):
            if address not in given:
                self.made[address] = StorageWeakRef(storage), storage.nbytes()
        self.made = {address: found for address, found in self.made.items() if not found[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.made.values()))
        return result


def _storages(values: object) -> list[tuple[int, torch.UntypedStorage]]:
    """The memory of all tensors among some values, with its address."""
    tensors = [value for value in torch.utils._pytree.tree_leaves(values) if isinstance(value, torch.Tensor)]
    return [(tensor.untyped_storage()._cdata, tensor.untyped_storage()) for tensor in tensors]


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
