"""Kernels for a GPU, each beside a plain version in torch that says what it does: one pass over memory instead of many.

Triton comes with torch for CUDA; importing this module without it raises ImportError (see devices.runs_kernels).
"""

import torch
import triton
import triton.language as tl


def round_rows(moments, values: torch.Tensor, out: torch.Tensor, rest: torch.Tensor | None) -> None:
    """RoundedMoments._add_whole, whose sums within a chunk are float32 here; `rest` has the strides of `out`."""
    from rosetta_scaling.numerics.rounded import FAR, LARGEST, LIFT, NEVER

    values = values if values.stride(1) == 1 else values.contiguous()
    units = values.shape[1]
    _round_rows[(len(values),)](
        *(values, out, out if rest is None else rest),
        *(moments.shift, moments.exponent, moments.scale, moments.sum, moments.squares, moments.lost),
        *(values.stride(0), out.stride(0), units),
        FIRST=moments.count == 0,
        SPLIT=rest is not None,
        COARSE=values.dtype != torch.float32,
        FAR=FAR,
        LARGEST=LARGEST,
        LIFT=LIFT,
        NEVER=NEVER,
        BLOCK=triton.next_power_of_2(units),
        num_warps=8,
    )


@triton.jit
def _round_rows(
    values,
    out,
    rest,
    shifts,
    exponents,
    scales,
    sums,
    squares,
    losses,
    stride_values,
    stride_out,
    units,
    FIRST: tl.constexpr,
    SPLIT: tl.constexpr,
    COARSE: tl.constexpr,
    FAR: tl.constexpr,
    LARGEST: tl.constexpr,
    LIFT: tl.constexpr,
    NEVER: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    unit = tl.arange(0, BLOCK)
    inside = unit < units
    v = tl.load(values + row * stride_values + unit, mask=inside, other=0.0).to(tl.float32)
    if FIRST:
        low = tl.min(tl.where(inside, v, float("inf")), 0)
        high = tl.max(tl.where(inside, v, float("-inf")), 0)
        mean = tl.sum(v, 0) / units
        centred = tl.where(inside, v - mean, 0.0)
        deviation = tl.sqrt(tl.sum(centred * centred, 0) / units)
        near = mean
        if COARSE:
            near = mean.to(tl.bfloat16).to(tl.float32)
        shift = tl.where(low == high, low, tl.where(tl.abs(mean) > FAR * deviation, near, 0.0))
        tl.store(shifts + row, shift)
    else:
        shift = tl.load(shifts + row)
    x = tl.where(inside, v - shift, 0.0)
    peak = tl.max(tl.abs(x), 0)
    exponent = tl.load(exponents + row)
    found = (peak.to(tl.int32, bitcast=True) >> 23) - 126
    exponent = tl.where((exponent == NEVER) & (peak > 0), found, exponent)
    tl.store(exponents + row, exponent)
    power = tl.minimum(LIFT - exponent, 127)
    scale = ((power + 127) << 23).to(tl.float32, bitcast=True)
    tl.store(scales + row, scale)
    back = ((1023 - power).to(tl.int64) << 52).to(tl.float64, bitcast=True)  # 1 / scale
    scaled = x * scale
    high16 = tl.minimum(tl.maximum(scaled, -LARGEST), LARGEST).to(tl.float16)
    tl.store(out + row * stride_out + unit, high16, mask=inside)
    change = scaled - high16.to(tl.float32)  # exactly: no digit is lost
    if SPLIT:
        low16 = tl.minimum(tl.maximum(change, -LARGEST), LARGEST).to(tl.float16)
        tl.store(rest + row * stride_out + unit, low16, mask=inside)
        change -= low16.to(tl.float32)
    tl.store(sums + row, tl.load(sums + row) + tl.sum(scaled, 0).to(tl.float64) * back)
    tl.store(squares + row, tl.load(squares + row) + tl.sum(scaled * scaled, 0).to(tl.float64) * back * back)
    tl.store(losses + row, tl.load(losses + row) + tl.sum(change * change, 0).to(tl.float64) * back * back)
