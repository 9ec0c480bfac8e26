"""Run a network over its inputs as far as it is needed, and pool the activations of its neurons over the units.

A pass stops inside the last block that is asked for and never computes logits. Samples of similar length are batched
together, so little is padded.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from rosetta_scaling.activations.chunks import CHUNK_UNITS, WINDOW_BATCHES, WINDOW_BYTES
from rosetta_scaling.activations.inputs.contract import Batch, Inputs
from rosetta_scaling.activations.pooling import Filled, pool_into
from rosetta_scaling.activations.sources import circular
from rosetta_scaling.networks.linear import neurons_of
from rosetta_scaling.networks.mlps import find_down_projections, read_inputs
from rosetta_scaling.numerics import devices
from rosetta_scaling.store.errors import StudyError

TRANSPOSED = 64  # units turned from rows into columns at a time: eight times faster than all at once


def transposed(rows: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Write rows (units, neurons) as columns of `out` (neurons, at least as many units); the columns written."""
    step = len(rows) if devices.is_card(rows.device) else TRANSPOSED
    for at in range(0, len(rows), step):
        out[:, at : min(at + step, len(rows))] = rows[at : at + step].T
    return out[:, : len(rows)]


class Reading(NamedTuple):
    """How a network is read."""

    batch: int  # samples at a time
    dtype: str  # to which activations are rounded; that of stored activations
    device: torch.device
    chunk: int = CHUNK_UNITS


class Window(NamedTuple):
    """Consecutive samples that are read before their units are handed out, in the order of the units."""

    begin: int  # first unit
    end: int  # one more than the last
    batches: list[np.ndarray]  # numbers of samples, those of similar length together


# By layer: the columns of the result that it fills, and which of its own neurons go there.
Columns = dict[int, tuple[slice, slice]]
Receive = Callable[[int, torch.Tensor], None]  # is given a layer and its neurons


class ForwardPass:
    """A source (see sources.py) that computes activations whenever they are asked for."""

    def __init__(
        self,
        model: torch.nn.Module,
        inputs: Inputs,
        reading: Reading,
        *,
        weights: object = None,
        displacement: int = 0,
    ):
        self.model, self.inputs, self.weights = model, inputs, weights
        self.batch_samples, self.device, self.chunk = reading.batch, reading.device, reading.chunk
        self.dtype, self.dtype_name = getattr(torch, reading.dtype), reading.dtype
        self.modules = find_down_projections(model)
        self.widths = [neurons_of(module) for module in self.modules]
        self.units = inputs.units
        self.first = -displacement % self.units

    def chunks(self, start: int = 0, stop: int | None = None, first_chunk: int = 0) -> Iterator[torch.Tensor]:
        """Neurons start..stop on consecutive units, from chunk `first_chunk` on (see sources.py)."""
        out = None
        for rows in self.rows(start, stop, first_chunk):
            if out is None:
                out = torch.empty(rows.shape[1], self.chunk, dtype=self.dtype, device=self.device)
            yield transposed(rows, out)

    def rows(self, start: int = 0, stop: int | None = None, first_chunk: int = 0) -> Iterator[torch.Tensor]:
        """The same chunks the other way round: (units, neurons)."""
        stop = sum(self.widths) if stop is None else stop
        columns = self._columns(start, stop)
        out = torch.empty(self.chunk, stop - start, dtype=self.dtype, device=self.device)
        filled, skip = 0, first_chunk * self.chunk
        for low, high in circular(self.first, self.units):
            if skip >= high - low:
                skip -= high - low
                continue
            for values in self._windows(low + skip, high, columns):
                while len(values):
                    if not filled and len(values) >= self.chunk:  # no copy is needed
                        yield values[: self.chunk]
                        values = values[self.chunk :]
                        continue
                    taken = min(len(values), self.chunk - filled)
                    out[filled : filled + taken] = values[:taken]
                    values, filled = values[taken:], filled + taken
                    if filled == self.chunk:
                        yield out
                        filled = 0
            skip = 0
        if filled:
            yield out[:filled]

    def windows(self, low: int, high: int) -> Iterator[Window]:
        """The samples of units low..high, a few batches at a time, in their order."""
        ends, lengths = self.inputs.ends, self.inputs.lengths
        first = int(np.searchsorted(ends, low, "right"))
        last = int(np.searchsorted(ends, high, "left")) + 1
        size = self._batches_in_window() * self.batch_samples
        for begin in range(first, last, size):
            samples = np.arange(begin, min(begin + size, last))
            by_length = samples[np.argsort(lengths[samples], kind="stable")]
            batches = np.split(by_length, range(self.batch_samples, len(samples), self.batch_samples))
            yield Window(int(ends[begin - 1]) if begin else 0, int(ends[samples[-1]]), batches)

    def _batches_in_window(self) -> int:
        """As many as fit, whatever neurons are asked for: which samples are read together decides over last digits."""
        units = self.batch_samples * int(self.inputs.lengths.max())  # at most
        return min(WINDOW_BATCHES, max(1, WINDOW_BYTES // (units * sum(self.widths) * self.dtype.itemsize)))

    def _columns(self, start: int, stop: int) -> Columns:
        """The layers of neurons start..stop, and where their neurons stand among these."""
        starts = np.cumsum([0, *self.widths])  # (layers + 1,)
        columns = {}
        for layer in range(np.searchsorted(starts, start, "right") - 1, np.searchsorted(starts, stop, "left")):
            low, high = max(int(starts[layer]), start), min(int(starts[layer + 1]), stop)
            columns[layer] = slice(low - start, high - start), slice(low - starts[layer], high - starts[layer])
        return columns

    def _windows(self, low: int, high: int, columns: Columns) -> Iterator[torch.Tensor]:
        """Activations (units, neurons) of consecutive units of low..high; the same memory each time."""
        neurons = next(reversed(columns.values()))[0].stop
        windows = list(self.windows(low, high))
        most = max((window.end - window.begin for window in windows), default=0)
        memory = torch.empty(most, neurons, dtype=self.dtype, device=self.device)
        wrong = torch.zeros(len(self.widths), 1, dtype=torch.int32, device=self.device)
        for window in windows:
            values = memory[: window.end - window.begin]
            for samples in window.batches:
                batch = self.inputs.batch(samples)
                if len(batch.units):
                    rows = torch.from_numpy(batch.units - window.begin).to(self.device)
                    self._read(samples, batch, columns, Filled(values, rows, wrong))
            self._require_finite(wrong)
            yield values[max(low - window.begin, 0) : min(window.end, high) - window.begin]

    def _read(self, samples: np.ndarray, batch: Batch, columns: Columns, filled: Filled) -> None:
        """Write the activations of a batch of samples to the rows of its units, all layers side by side."""

        def write(layer: int, neurons: torch.Tensor) -> None:
            there, own = columns[layer]
            of_layer = Filled(filled.out[:, there], filled.at, filled.wrong[layer])
            pool_into(batch.rows(neurons)[:, own], batch.bags, of_layer)

        with torch.inference_mode():
            self.pass_on(samples, batch, list(columns), write)

    def _require_finite(self, wrong: torch.Tensor) -> None:
        """Raise StudyError when means of a layer were not finite: what is read from the device once per window."""
        if wrong.any():
            raise StudyError(
                f"layer {int(wrong[:, 0].nonzero()[0])} gives activations that are not finite in {self.dtype_name}; "
                "the weights are damaged, or activations.dtype must be wider"
            )

    def pass_on(self, samples: np.ndarray, batch: Batch, layers: list[int], receive: Receive) -> None:
        """Call receive(layer, its neurons) for these layers of a batch of samples."""
        with read_inputs({layer: self.modules[layer] for layer in layers}, receive):
            self.model(**batch.arguments)
