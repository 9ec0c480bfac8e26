"""Running sums of every neuron over units: what all input-side metrics are computed from, in one pass.

Chunks are reduced in float32 around the mean of the first one, so a mean far from zero does not eat the variance, and
their powers are added up in float64. Sums per label (text, previous text, position, documents) are a product with a
sparse matrix of ones, added up in float32.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch

from rosetta_scaling.numerics import devices
from rosetta_scaling.numerics.ranking import strongest
from rosetta_scaling.units.labels import UnitLabels

# |activation| is counted in bins that split every factor of two from 2^LOWEST on into four, read off the bits of the
# float: its exponent and the first two digits after the point. Every SAMPLED-th unit is enough for that.
BINS_PER_OCTAVE, LOWEST, BINS = 4, -36, 256
SAMPLED = 8


class LabelMatrix:
    """Sparse (labels, units) matrices with a one where a unit has a label; `rows` finds a kind of label in the sums."""

    def __init__(self, labels: UnitLabels):
        self.fold = torch.from_numpy(labels.fold)
        self.rows: dict[str, dict[str, slice]] = {}  # by the name of the sums, then by the kind of label
        self.sizes: dict[str, int] = {}
        self.codes: dict[str, list[torch.Tensor]] = {}  # (units,) each: rows of the sums
        for name, kinds in (("labelled", labels.by_sum), ("positive", labels.by_positive_sum)):
            start, self.rows[name], self.codes[name] = 0, {}, []
            for kind, (codes, size) in kinds.items():
                self.rows[name][kind] = slice(start, start + size)
                self.codes[name].append(torch.from_numpy(codes).long() + start)
                start += size
            self.sizes[name] = start

    def of(self, name: str, units: slice, device: torch.device) -> torch.Tensor:
        """The matrix of some units for the sums `name`, "labelled" or "positive"."""
        row = torch.stack([codes[units] for codes in self.codes[name]])  # (kinds, units)
        column = torch.arange(row.shape[1]).expand_as(row)
        index, ones = torch.stack([row.flatten(), column.flatten()]), torch.ones(row.numel())
        size = (self.sizes[name], row.shape[1])
        return torch.sparse_coo_tensor(index, ones, size, check_invariants=False).to(device)

    def sorted(self, name: str, units: slice, device: torch.device) -> "Labelled":
        """The same, as lists of the units of every label that occurs."""
        row = torch.stack([codes[units] for codes in self.codes[name]])  # (kinds, units)
        code, order = row.flatten().sort(stable=True)
        labels, counts = torch.unique_consecutive(code, return_counts=True)
        begins = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
        return Labelled(*(part.to(device) for part in (order % row.shape[1], begins, labels)))


class Labelled(NamedTuple):
    """The units of every label that occurs in a chunk."""

    places: torch.Tensor  # numbers of units within the chunk, one label after the other
    begins: torch.Tensor  # (labels + 1,) where those of every label begin in `places`, and their number
    labels: torch.Tensor  # (labels,) rows of the sums


class WorkSpace:
    """Float32 memory that the statistics of all layers share, allocated once: fresh memory would double the time."""

    def __init__(self, device: torch.device):
        self.device, self.memory = device, torch.empty(0, device=device)

    def tensors(self, number: int, units: int, neurons: int) -> list[torch.Tensor]:
        """`number` uninitialised tensors of shape (units, neurons)."""
        if self.memory.numel() < number * units * neurons:
            self.memory = torch.empty(number * units * neurons, device=self.device)
        return list(self.memory[: number * units * neurons].view(number, units, neurons))


class NeuronStatistics:
    """Running sums of `neurons` neurons over all units, in order; feed chunks with `update`.

    `state` is a dictionary of tensors, so it can be saved between chunks and resumed:

        count                   units seen, also as `sampled` those in the histogram
        shift, power            mean of the first chunk (neurons,); sums of the first four powers beyond it (4, neurons)
        active                  units above zero (neurons,)
        histogram               of |activation| (neurons, BINS)
        labelled, positive      sums beyond `shift`, and of what is above zero, by label (labels, neurons)
        top_value, top_unit     strongest units of either fold, see units/labels.py (2, top, neurons)
    """

    def __init__(self, neurons: int, labels: LabelMatrix, top: int, space: WorkSpace):
        device = space.device
        self.labels, self.device, self.space = labels, device, space
        self.candidates: list[tuple[torch.Tensor, ...]] = []  # for the strongest units: column, unit, value
        self.full = [False, False]  # whether the lists of the strongest are, by fold
        self.settled = 0  # number of units after which they were last merged
        self.state = {
            "count": torch.zeros((), dtype=torch.int64),
            "sampled": torch.zeros((), dtype=torch.int64),
            "shift": torch.zeros(neurons, device=device),
            "power": torch.zeros(4, neurons, dtype=torch.float64, device=device),
            "active": torch.zeros(neurons, dtype=torch.float64, device=device),
            "histogram": torch.zeros(neurons, BINS, dtype=torch.int32, device=device),
            "labelled": torch.zeros(labels.sizes["labelled"], neurons, device=device),
            "positive": torch.zeros(labels.sizes["positive"], neurons, device=device),
            "top_value": torch.full((2, top, neurons), -torch.inf, device=device),
            "top_unit": torch.full((2, top, neurons), -1, dtype=torch.int64, device=device),
        }

    def update(self, values: torch.Tensor) -> None:
        """Add the next units: values (units, neurons), rounded as they are stored."""
        if devices.runs_kernels(values):
            self._update_on_card(values)
            return
        state = self.state
        first, stop = int(state["count"]), int(state["count"]) + len(values)
        x, work, squared = self.space.tensors(3, *values.shape)
        torch.add(values, 0, out=x)  # which also turns -0 into 0: they are equal, and tie
        if first == 0:
            state["shift"] = x.mean(0)
        every = x[-first % SAMPLED :: SAMPLED]
        state["histogram"] += histogram(every)
        state["sampled"] += len(every)
        above = torch.clamp_min(x, 0, out=work)
        state["positive"] += self.labels.of("positive", slice(first, stop), self.device) @ above
        state["active"] += _sum(above.sign_())
        centred = torch.sub(x, state["shift"], out=work)
        state["labelled"] += self.labels.of("labelled", slice(first, stop), self.device) @ centred
        torch.mul(centred, centred, out=squared)
        state["power"][0] += _sum(centred)
        state["power"][1] += _sum(squared)
        state["power"][2] += _sum(centred.mul_(squared))
        state["power"][3] += _sum(squared.mul_(squared))
        state["count"] += len(values)
        self._collect(x, first)

    def _update_on_card(self, values: torch.Tensor) -> None:
        """`update` in one pass over memory for all powers and counts, and one for every set of labels."""
        from rosetta_scaling.activations import kernels

        state, units = self.state, len(values)
        first = int(state["count"])
        if first == 0:
            state["shift"] = values.mean(0, dtype=torch.float32)
        fold = self.labels.fold[first : first + units].to(self.device)
        above = torch.empty(values.shape, dtype=torch.bool, device=self.device) if all(self.full) else None
        kernels.sum_powers(values, state, first, fold=fold, above=above)
        for name in ("labelled", "positive"):
            of_label = self.labels.sorted(name, slice(first, first + units), self.device)
            kernels.add_by_label(values, of_label, state["shift"] if name == "labelled" else None, state[name])
        state["sampled"] += len(range(-first % SAMPLED, units, SAMPLED))
        state["count"] += units
        self._collect(values, first, above)

    def finish(self) -> dict[str, torch.Tensor]:
        """The state after all units so far, on the CPU."""
        if self.candidates:
            self._settle()
        return {key: tensor.to("cpu", copy=True) for key, tensor in self.state.items()}

    def resume(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `finish` gave."""
        self.state = {key: tensor.to(self.state[key].device, copy=True) for key, tensor in state.items()}
        self.settled = int(state["count"])

    def _collect(self, values: torch.Tensor, first: int, above: torch.Tensor | None = None) -> None:
        """Collect the units that may be among the strongest of their fold: few, once the lists are full.

        `above` says which these are, if that is known.
        """
        folds, top, neurons = self.state["top_value"].shape
        fold = self.labels.fold[first : first + len(values)]
        above = self._above(values, fold) if above is None else above
        row, neuron = torch.nonzero(above, as_tuple=True)
        # Columns are neurons of fold 0, then of fold 1.
        column = fold.to(self.device)[row] * neurons + neuron
        self.candidates.append((column, row + first, values[row, neuron].float() + 0))  # -0 becomes 0: they tie
        # The strongest units so far need to be known only roughly, so candidates are merged when there are many of
        # them, or when the number of units has doubled.
        many = sum(len(column) for column, _, _ in self.candidates) > 4 * folds * top * neurons
        if many or first + len(values) >= 2 * self.settled:
            self._settle()

    def _above(self, values: torch.Tensor, fold: torch.Tensor) -> torch.Tensor:
        """Which values (units, neurons) may be among the strongest of their fold (units,)."""
        top = self.state["top_value"].shape[1]
        above = torch.empty_like(values, dtype=torch.bool)
        least = self.state["top_value"][:, -1]  # what a unit must exceed (folds, neurons)
        full = self.full if all(self.full) else torch.isfinite(least).all(1).tolist()  # it stays so
        self.full = full
        for code in (0, 1):
            units = torch.nonzero(fold == code)[:, 0].to(self.device)
            if len(units) and not full[code]:
                above[units] = _strongest_of(values[units], top)
        for run in torch.split(torch.arange(len(fold)), _runs(fold)):
            here = slice(int(run[0]), int(run[-1]) + 1)
            if full[fold[here.start]]:
                torch.gt(values[here], least[fold[here.start]], out=above[here])
        return above

    def _settle(self) -> None:
        """Merge the candidates into the lists of the strongest; among equals the earlier unit comes first."""
        folds, top, neurons = self.state["top_value"].shape
        column, unit, value = (torch.cat(parts) for parts in zip(*self.candidates, strict=True))
        order = torch.argsort(value, descending=True, stable=True)
        order = order[torch.argsort(column[order], stable=True)]
        number = torch.bincount(column, minlength=folds * neurons)
        column = column[order]
        rank = torch.arange(len(order), device=self.device) - (number.cumsum(0) - number)[column]  # within its column
        kept = rank < top
        rank, column, order = rank[kept], column[kept], order[kept]
        new_value = torch.full((top, folds * neurons), -torch.inf, device=self.device)
        new_unit = torch.zeros_like(new_value, dtype=torch.int64)
        new_value[rank, column], new_unit[rank, column] = value[order], unit[order]  # (top, folds * neurons)
        old = [self.state[name].transpose(0, 1).reshape(top, -1) for name in ("top_value", "top_unit")]
        best = strongest(torch.cat([old[0], new_value]), torch.cat([old[1], new_unit]), top, dim=0)
        for name, merged in zip(("top_value", "top_unit"), best, strict=True):
            self.state[name] = merged.view(top, folds, neurons).transpose(0, 1).contiguous()
        self.candidates, self.settled = [], int(self.state["count"])


class LayerStatistics:
    """NeuronStatistics of the layers of a network: of each alone, in a processor's cache; on a GPU of all at once."""

    def __init__(self, widths: list[int], labels: LabelMatrix, top: int, device: torch.device):
        self.widths = [widths] if devices.is_card(device) else [[width] for width in widths]  # by group
        space = WorkSpace(device)
        self.groups = [NeuronStatistics(sum(group), labels, top, space) for group in self.widths]

    def update(self, rows: torch.Tensor) -> None:
        """Add the next units of all layers: rows (units, neurons), rounded as they are stored."""
        for running, neurons in zip(self.groups, rows.split([sum(group) for group in self.widths], 1), strict=True):
            running.update(neurons)

    def finish(self) -> Iterator[dict[str, torch.Tensor]]:
        """The state of every layer after all units so far, on the CPU."""
        for running, widths in zip(self.groups, self.widths, strict=True):
            state = running.finish()
            parts = {key: tensor.split(widths, _axis(key)) if tensor.dim() else None for key, tensor in state.items()}
            for i in range(len(widths)):
                yield {key: state[key] if part is None else part[i].contiguous() for key, part in parts.items()}

    def resume(self, states: Iterable[dict[str, torch.Tensor]]) -> None:
        """Go on from what `finish` gave."""
        layers = iter(states)
        for running, widths in zip(self.groups, self.widths, strict=True):
            own = [next(layers) for _ in widths]
            joined = {key: [state[key] for state in own] for key in own[0]}
            running.resume({key: _joined(key, parts) for key, parts in joined.items()})


def _joined(key: str, parts: list[torch.Tensor]) -> torch.Tensor:
    """A tensor of the state of several layers; a count is that of any."""
    return torch.cat(parts, _axis(key)) if parts[0].dim() else parts[0]


def _axis(key: str) -> int:
    """Which dimension of a tensor of the state is that of neurons."""
    return 0 if key == "histogram" else -1


def _strongest_of(values: torch.Tensor, top: int) -> torch.Tensor:
    """Which of the values (units, neurons) are among the `top` of their neuron, with a few more that tie with the last.

    A neuron may be silent, and all of its units tie.
    """
    if len(values) <= top:
        return torch.ones_like(values, dtype=torch.bool)
    last = values.topk(top, dim=0).values[-1]
    among = values >= last
    tied = torch.nonzero(among.sum(0) > top)[:, 0]  # more than enough, since some equal the last
    ties = values[:, tied] == last[tied]
    among[:, tied] &= ~ties | (ties.cumsum(0) <= top)
    return among


def _sum(values: torch.Tensor) -> torch.Tensor:
    """Sum over units, as a product: faster than sum(0)."""
    return (torch.ones(1, len(values), device=values.device) @ values)[0]


def _runs(codes: torch.Tensor) -> list[int]:
    """Lengths of the runs of equal codes."""
    return torch.unique_consecutive(codes, return_counts=True)[1].tolist()


def histogram(values: torch.Tensor) -> torch.Tensor:
    """Counts (neurons, BINS) of |values| (units, neurons); bin 0 holds all that is smaller than 2^LOWEST."""
    lowest = (LOWEST + 127) * BINS_PER_OCTAVE  # of the exponent with its bias, and two digits
    index = (values.abs().view(torch.int32) >> 21).sub_(lowest).clamp_(0, BINS - 1)
    neurons = values.shape[1]
    flat = (index + BINS * torch.arange(neurons, dtype=torch.int32, device=values.device)).flatten()
    return torch.bincount(flat, minlength=neurons * BINS).view(neurons, BINS)
