"""Which device does the work, and the numeric switches that every job sets the same way."""

import torch


def prepare(device: str, threads: int) -> torch.device:
    """Resolve `auto`, set the number of CPU threads, and forbid reduced-precision sums on GPUs."""
    torch.set_num_threads(max(1, threads))
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
