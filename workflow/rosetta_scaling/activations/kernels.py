"""Kernels for a GPU, each beside a plain version in torch that says what it does: one pass over memory instead of many.

Triton comes with torch for CUDA; importing this module without it raises ImportError (see devices.runs_kernels).
"""

import torch
import triton
import triton.language as tl

WIDTH = 1024  # neurons that a program pools


def pool_rows(
    rows: torch.Tensor,
    bags: tuple[torch.Tensor, torch.Tensor],
    out: torch.Tensor,
    at: torch.Tensor,
    *,
    wrong: torch.Tensor,
) -> None:
    """What activations/pooling.py does: means of some rows each, and how many are not finite in the dtype of `out`.

    `rows` (positions, neurons), `bags` are (places, begins): bag i holds the rows at places[begins[i]:begins[i + 1]].
    Their mean, taken in float32, goes to out[at[i]]. The count is added to `wrong`, one int32.
    """
    rows = rows if rows.stride(1) == 1 else rows.contiguous()
    (places, begins), neurons = bags, out.shape[1]
    if not len(at):
        return
    width = min(WIDTH, triton.next_power_of_2(neurons))
    _pool_rows[(len(at), triton.cdiv(neurons, width))](
        *(rows, places, begins, out, at, wrong, neurons, rows.stride(0), out.stride(0)),
        LARGEST=torch.finfo(out.dtype).max,
        BLOCK=width,
    )


@triton.jit
def _pool_rows(
    rows, places, begins, out, at, wrong, neurons, stride_rows, stride_out, LARGEST: tl.constexpr, BLOCK: tl.constexpr
):
    bag = tl.program_id(0).to(tl.int64)
    neuron = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = neuron < neurons
    begin, end = tl.load(begins + bag).to(tl.int32), tl.load(begins + bag + 1).to(tl.int32)
    total = tl.zeros((BLOCK,), tl.float32)
    for i in range(begin, end):
        place = tl.load(places + i)
        total += tl.load(rows + place * stride_rows + neuron, mask=inside, other=0.0).to(tl.float32)
    mean = total / (end - begin).to(tl.float32)
    finite = tl.abs(mean) <= LARGEST  # not so for NaN, either
    count = tl.sum(tl.where(inside, tl.where(finite, 0, 1), 0), 0)
    if count > 0:
        tl.atomic_add(wrong, count)
    tl.store(out + tl.load(at + bag) * stride_out + neuron, mean.to(out.dtype.element_ty), mask=inside)


def sum_powers(
    values: torch.Tensor, state: dict[str, torch.Tensor], first: int, *, fold: torch.Tensor, above: torch.Tensor | None
) -> None:
    """Sums of powers, counts and histograms of activations/statistics.py, from values (units, neurons).

    `above`, bool (units, neurons), is told which values exceed the strongest units of their fold (units,) so far.
    """
    from rosetta_scaling.activations import statistics

    units, neurons = values.shape
    least = state["top_value"][:, -1].contiguous()  # (folds, neurons)
    _sum_powers[(triton.cdiv(neurons, 128),)](
        *(values, state["shift"], state["power"], state["active"], state["histogram"]),
        *(fold, least, values if above is None else above.view(torch.int8)),
        *(units, neurons, values.stride(0), -first % statistics.SAMPLED),
        ABOVE=above is not None,
        SAMPLED=statistics.SAMPLED,
        LOWEST=(statistics.LOWEST + 127) * statistics.BINS_PER_OCTAVE,
        BINS=statistics.BINS,
        ROWS=8,
        BLOCK=128,
    )


@triton.jit
def _sum_powers(
    values,
    shifts,
    powers,
    active,
    histogram,
    folds,
    leasts,
    above,
    units,
    neurons,
    stride,
    first_sampled,
    ABOVE: tl.constexpr,
    SAMPLED: tl.constexpr,
    LOWEST: tl.constexpr,
    BINS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    neuron = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    known = neuron < neurons
    shift = tl.load(shifts + neuron, mask=known, other=0.0)
    # Sums are kept apart by row, and added up once at the end.
    one, two = tl.zeros((ROWS, BLOCK), tl.float32), tl.zeros((ROWS, BLOCK), tl.float32)
    three, four = tl.zeros((ROWS, BLOCK), tl.float32), tl.zeros((ROWS, BLOCK), tl.float32)
    positive = tl.zeros((ROWS, BLOCK), tl.int32)
    least_0 = tl.load(leasts + neuron, mask=known)
    least_1 = tl.load(leasts + neurons + neuron, mask=known)
    for start in range(0, units, ROWS):
        unit = start + tl.arange(0, ROWS).to(tl.int64)
        inside = (unit < units)[:, None] & known[None, :]
        x = tl.load(values + unit[:, None] * stride + neuron[None, :], mask=inside, other=0.0).to(tl.float32)
        centred = tl.where(inside, x - shift[None, :], 0.0)
        square = centred * centred
        one += centred
        two += square
        three += square * centred
        four += square * square
        positive += tl.where(x > 0, 1, 0)
        if ABOVE:
            fold = tl.load(folds + unit, mask=unit < units, other=0)
            exceeds = x > tl.where((fold == 0)[:, None], least_0[None, :], least_1[None, :])
            tl.store(above + unit[:, None] * neurons + neuron[None, :], exceeds.to(tl.int8), mask=inside)
    for start in range(first_sampled, units, ROWS * SAMPLED):
        unit = start + SAMPLED * tl.arange(0, ROWS).to(tl.int64)
        inside = (unit < units)[:, None] & known[None, :]
        x = tl.load(values + unit[:, None] * stride + neuron[None, :], mask=inside, other=0.0).to(tl.float32)
        found = (tl.abs(x).to(tl.int32, bitcast=True) >> 21) - LOWEST
        found = tl.minimum(tl.maximum(found, 0), BINS - 1)
        tl.atomic_add(histogram + neuron[None, :] * BINS + found, 1, mask=inside, sem="relaxed")
    tl.store(powers + neuron, tl.load(powers + neuron, mask=known) + tl.sum(one, 0).to(tl.float64), mask=known)
    powers += neurons
    tl.store(powers + neuron, tl.load(powers + neuron, mask=known) + tl.sum(two, 0).to(tl.float64), mask=known)
    powers += neurons
    tl.store(powers + neuron, tl.load(powers + neuron, mask=known) + tl.sum(three, 0).to(tl.float64), mask=known)
    powers += neurons
    tl.store(powers + neuron, tl.load(powers + neuron, mask=known) + tl.sum(four, 0).to(tl.float64), mask=known)
    tl.store(active + neuron, tl.load(active + neuron, mask=known) + tl.sum(positive, 0).to(tl.float64), mask=known)


def add_by_label(values: torch.Tensor, of_label, shift: torch.Tensor | None, sums: torch.Tensor) -> None:
    """Add values (units, neurons) to the rows of sums (labels, neurons): less their shift, or what is above zero.

    `of_label` is (places, begins, labels): the units places[begins[i]:begins[i + 1]] go to sums[labels[i]].
    """
    neurons, width = values.shape[1], 256
    _add_by_label[(len(of_label.labels), triton.cdiv(neurons, width))](
        *(values, *of_label, sums if shift is None else shift, sums),
        *(neurons, values.stride(0), sums.stride(0)),
        POSITIVE=shift is None,
        ROWS=8,
        BLOCK=width,
    )


@triton.jit
def _add_by_label(
    values,
    places,
    begins,
    labels,
    shifts,
    sums,
    neurons,
    stride,
    stride_sums,
    POSITIVE: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    group = tl.program_id(0)
    neuron = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    known = neuron < neurons
    begin, end = tl.load(begins + group).to(tl.int32), tl.load(begins + group + 1).to(tl.int32)
    total = tl.zeros((ROWS, BLOCK), tl.float32)  # rows are read together: a label may have all units of a chunk
    shift = tl.load(shifts + neuron, mask=known, other=0.0)
    for start in range(begin, end, ROWS):
        i = start + tl.arange(0, ROWS)
        inside = (i < end)[:, None] & known[None, :]
        place = tl.load(places + i, mask=i < end, other=0)
        x = tl.load(values + place[:, None] * stride + neuron[None, :], mask=inside, other=0.0).to(tl.float32)
        if POSITIVE:
            total += tl.maximum(x, 0.0)
        else:
            total += tl.where(inside, x - shift[None, :], 0.0)
    there = sums + tl.load(labels + group) * stride_sums + neuron
    tl.store(there, tl.load(there, mask=known) + tl.sum(total, 0), mask=known)
