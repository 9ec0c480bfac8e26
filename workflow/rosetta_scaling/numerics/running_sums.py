"""Sums over a long pass that survive a kill: they are saved every few minutes and continued."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from rosetta_scaling.store.tensors import read_tensors, write_tensors

SAVE_SECONDS = 300.0  # what a kill may cost; saving takes seconds


def pass_over(
    chunks_from: Callable[[int], Iterator[dict]], sums: dict[str, torch.Tensor], saved: Path | None
) -> Iterator[dict]:
    """All chunks that are not yet in `sums`, to which the caller adds each in place.

    `chunks_from(n)` yields all but the first n chunks. The sums are saved to the file `saved`, if any, on the way and
    at the end. They are restored from there, so its path must encode everything they depend on.
    """
    done, last = 0, time.monotonic()
    if saved and saved.exists():
        state = read_tensors(saved)
        done = int(state["chunks"])
        for name, total in sums.items():
            total.copy_(state[name])
    for chunk in chunks_from(done):
        yield chunk
        done += 1
        if saved and time.monotonic() - last > SAVE_SECONDS:
            write_tensors(saved, sums | {"chunks": torch.tensor(done)})
            last = time.monotonic()
    if saved:
        write_tensors(saved, sums | {"chunks": torch.tensor(done)})
