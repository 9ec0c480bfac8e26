"""Which device does the work, how fast it multiplies, and the numeric switches that every job sets the same way."""

import fcntl
import importlib.util
import os
import tempfile
import time
from pathlib import Path
from typing import TextIO

import torch

FREE_SHARE = 0.9  # of what is free on a GPU: other programs, and pieces that are too small, take the rest
_claimed: list[TextIO] = []  # open lock files: a claim lasts as long as the process


def is_card(device: torch.device | str) -> bool:
    """Whether a device works on whole tensors, with rounded factors, as a GPU does; a processor works in its cache.

    This is the only place that decides it. Tests replace it to run on a processor what a GPU runs.
    """
    return torch.device(device).type == "cuda"


def runs_kernels(values: torch.Tensor) -> bool:
    """Whether kernels work on a tensor: it lies on a GPU, and Triton is here, which comes with torch for CUDA."""
    return values.is_cuda and importlib.util.find_spec("triton") is not None


def free_memory(device: torch.device | str) -> int | None:
    """Bytes of a GPU that a job may take, with a reserve; None on a processor, whose jobs have a budget."""
    if torch.device(device).type != "cuda":
        return None
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, and free
    return int(FREE_SHARE * (torch.cuda.mem_get_info(device)[0] + kept))


def prepare(device: str, threads: int) -> torch.device:
    """Resolve `auto`, set the number of CPU threads, and forbid reduced-precision sums on GPUs."""
    torch.set_num_threads(max(1, threads))
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and torch.cuda.device_count() > 1:
        device = f"cuda:{claim(torch.cuda.device_count(), Path(tempfile.gettempdir()))}"
    return torch.device(device)


def claim(count: int, folder: Path) -> int:
    """A device that no other process of this machine has claimed; when all are taken, the first one, shared."""
    for index in range(count):
        lock = open(folder / f"rosetta-scaling-{os.getuid()}-gpu{index}.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _claimed.append(lock)
        return index
    return 0


def product_rate(device: torch.device, dtype: torch.dtype | None = None, side: int = 2048) -> float:
    """Floating-point operations per second of a matrix product, the best of three, with the engine's factors."""
    dtype = dtype or (torch.float16 if is_card(device) else torch.float32)
    x = torch.ones(side, side, dtype=dtype, device=device)
    seconds = []
    for _ in range(4):  # the first one warms up
        began = time.perf_counter()
        torch.mm(x, x)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return 2 * side**3 / min(seconds[1:])


def sketch_dtype(device: torch.device) -> torch.dtype:
    """The faster of bfloat16 and float32. What sketches find is re-scored, so it does not touch results."""
    rates = {dtype: product_rate(device, dtype, 1024) for dtype in (torch.float32, torch.bfloat16)}
    return max(rates, key=lambda dtype: rates[dtype])
