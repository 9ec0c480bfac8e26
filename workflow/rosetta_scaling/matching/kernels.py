"""Kernels for a GPU, each beside a plain version in torch that says what it does: one pass over memory instead of many.

Triton comes with torch for CUDA; importing this module without it raises ImportError (see devices.runs_kernels).
"""

import torch
import triton
import triton.language as tl


def segment_maxima(total: torch.Tensor, a, b, segment: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What rounded.segment_maxima gives of sums (neurons, others) and both sides: every sum is read once."""
    neurons, others = total.shape
    across, down = triton.cdiv(others, segment), triton.cdiv(neurons, segment)
    of_rows = torch.empty(neurons, across, device=total.device)
    of_columns = torch.empty(down, others, device=total.device)
    _segment_maxima[(across, down)](
        *(total, a.weight, a.offset, a.left_out.byte(), b.weight, b.offset, b.left_out.byte(), of_rows, of_columns),
        *(neurons, others, across),
        SEGMENT=segment,
        num_warps=8,
    )
    return of_rows, of_columns


@triton.jit
def _segment_maxima(
    total,
    weights_a,
    offsets_a,
    left_out_a,
    weights_b,
    offsets_b,
    left_out_b,
    of_rows,
    of_columns,
    neurons,
    others,
    across,
    SEGMENT: tl.constexpr,
):
    right, below = tl.program_id(0), tl.program_id(1)
    row = below.to(tl.int64) * SEGMENT + tl.arange(0, SEGMENT)
    column = right.to(tl.int64) * SEGMENT + tl.arange(0, SEGMENT)
    is_row, is_column = row < neurons, column < others
    told_a = tl.load(left_out_a + row, mask=is_row, other=1) == 0
    told_b = tl.load(left_out_b + column, mask=is_column, other=1) == 0
    weight_a, weight_b = tl.load(weights_a + row, mask=is_row), tl.load(weights_b + column, mask=is_column)
    offset_a, offset_b = tl.load(offsets_a + row, mask=is_row), tl.load(offsets_b + column, mask=is_column)
    told = told_a[:, None] & told_b[None, :]
    sums = tl.load(total + row[:, None] * others + column[None, :], mask=told, other=0.0)
    r = sums * weight_a[:, None] * weight_b[None, :] - offset_a[:, None] * offset_b[None, :]
    r = tl.where(told, r, float("-inf"))
    tl.store(of_rows + row * across + right, tl.max(r, 1), mask=is_row)
    tl.store(of_columns + below.to(tl.int64) * others + column, tl.max(r, 0), mask=is_column)


def add_pair_products(
    sums: torch.Tensor,
    values: tuple[torch.Tensor, torch.Tensor],
    pairs: torch.Tensor,
    means: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """What settling.add_pair_products does, without copies of the rows of the pairs."""
    x, y = (v if v.stride(1) == 1 else v.contiguous() for v in values)
    if not len(sums):
        return
    units = x.shape[1]
    _add_pair_products[(len(sums),)](
        *(x, y, pairs[0], pairs[1], *means, sums),
        *(x.stride(0), y.stride(0), units),
        BLOCK=triton.next_power_of_2(units),
    )


@triton.jit
def _add_pair_products(x, y, rows_x, rows_y, means_x, means_y, sums, stride_x, stride_y, units, BLOCK: tl.constexpr):
    pair = tl.program_id(0)
    unit = tl.arange(0, BLOCK)
    inside = unit < units
    row_x, row_y = tl.load(rows_x + pair), tl.load(rows_y + pair)
    one = tl.load(x + row_x * stride_x + unit, mask=inside, other=0.0).to(tl.float32) - tl.load(means_x + row_x)
    other = tl.load(y + row_y * stride_y + unit, mask=inside, other=0.0).to(tl.float32) - tl.load(means_y + row_y)
    product = tl.where(inside, one * other, 0.0).to(tl.float64)
    tl.store(sums + pair, tl.load(sums + pair) + tl.sum(product, 0))
