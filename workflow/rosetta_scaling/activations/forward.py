"""Run a network over the probe text as far as it is needed, and pool what its neurons do over the units.

A pass stops inside the last block that is asked for and never computes logits. Passages of similar length are batched
together, so little is padded; what is padded stands behind the text, where a causal network cannot look, and so no
mask is needed.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.activations.chunks import CHUNK_UNITS, WINDOW_BATCHES
from rosetta_scaling.activations.sources import circular
from rosetta_scaling.networks.mlps import find_down_projections, neurons_of, read_inputs
from rosetta_scaling.networks.sizes import is_causal
from rosetta_scaling.store.errors import StudyError

TRANSPOSED = 64  # units turned from rows into columns at a time: eight times faster than all at once


def transposed(rows: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Rows (units, neurons) written as columns of `out` (neurons, at least as many units); the columns written."""
    for at in range(0, len(rows), TRANSPOSED):
        out[:, at : min(at + TRANSPOSED, len(rows))] = rows[at : at + TRANSPOSED].T
    return out[:, : len(rows)]


class ForwardPass:
    """A source (see sources.py) that computes activations whenever they are asked for.

    `tokens` has columns passage, position, token, unit (-1: in no unit), in the order of passages and positions; units
    count from 0 in the same order. Values are rounded to `dtype`, in which other sources store them.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        tokens: pd.DataFrame,
        batch_passages: int,
        dtype: str,
        device: torch.device,
        weights: object = None,
        displacement: int = 0,
        chunk: int = CHUNK_UNITS,
    ):
        self.model, self.device, self.weights, self.chunk = model, device, weights, chunk
        self.dtype, self.dtype_name = getattr(torch, dtype), dtype
        self.modules, self.causal = find_down_projections(model), is_causal(model.config)
        self.widths = [neurons_of(module) for module in self.modules]
        self.batch_passages = batch_passages
        self.token, self.unit = tokens.token.to_numpy(), tokens.unit.to_numpy()
        passage = tokens.passage.to_numpy()
        self.bounds = np.append(np.flatnonzero(np.append(True, passage[1:] != passage[:-1])), len(passage))
        # The last unit that has begun when a passage ends, plus one: units of passage p are ends[p - 1]..ends[p].
        self.ends = np.maximum.accumulate(np.maximum.reduceat(self.unit, self.bounds[:-1])) + 1
        self.units = int(self.ends[-1])
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
        starts = np.cumsum([0, *self.widths])
        stop = int(starts[-1]) if stop is None else stop
        layers = range(np.searchsorted(starts, start, "right") - 1, np.searchsorted(starts, stop, "left"))
        out = torch.empty(self.chunk, stop - start, dtype=self.dtype, device=self.device)
        filled, skip = 0, first_chunk * self.chunk
        for low, high in circular(self.first, self.units):
            if skip >= high - low:
                skip -= high - low
                continue
            for window in self._windows(low + skip, high, layers, start - starts[layers[0]], stop - start):
                while len(window):
                    taken = min(len(window), self.chunk - filled)
                    out[filled : filled + taken] = window[:taken]
                    window, filled = window[taken:], filled + taken
                    if filled == self.chunk:
                        yield out
                        filled = 0
            skip = 0
        if filled:
            yield out[:filled]

    def batches(self, low: int, high: int) -> Iterator[tuple[int, int, list[np.ndarray]]]:
        """Windows over units low..high: the units of their passages, and batches of passages of similar length."""
        first = int(np.searchsorted(self.ends, low, "right"))
        last = int(np.searchsorted(self.ends, high, "left")) + 1
        length = np.diff(self.bounds)
        for begin in range(first, last, WINDOW_BATCHES * self.batch_passages):
            window = np.arange(begin, min(begin + WINDOW_BATCHES * self.batch_passages, last))
            by_length = window[np.argsort(length[window], kind="stable")]
            batches = np.split(by_length, range(self.batch_passages, len(window), self.batch_passages))
            yield int(self.ends[begin - 1]) if begin else 0, int(self.ends[window[-1]]), batches

    def _windows(self, low: int, high: int, layers: range, offset: int, neurons: int) -> Iterator[torch.Tensor]:
        """Activations (units, neurons) of consecutive units of low..high; neurons count from `offset` in layers[0]."""
        memory = torch.empty(0, neurons, dtype=self.dtype, device=self.device)
        for begin, end, batches in self.batches(low, high):
            if len(memory) < end - begin:
                memory = torch.empty(end - begin, neurons, dtype=self.dtype, device=self.device)
            values = memory[: end - begin]
            for passages in batches:
                ids, at, bags, unit = self.pack(passages)
                if len(unit):
                    rows = torch.from_numpy(unit - begin).to(self.device)
                    self._run(
                        self.arguments(ids, passages), layers, self._writer(values, rows, at, bags, layers, offset)
                    )
            yield values[max(low - begin, 0) : min(end, high) - begin]

    def pack(self, passages: np.ndarray) -> tuple[torch.Tensor, ...]:
        """Token ids (passages, longest); the flat places of tokens in units, where each unit's begin, and the units."""
        begins, lengths = self.bounds[passages], np.diff(self.bounds)[passages]
        row = np.repeat(np.arange(len(passages)), lengths)
        position = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = np.repeat(begins, lengths) + position
        ids = np.zeros((len(passages), lengths.max()), np.int64)
        ids[row, position] = self.token[source]
        inside = np.flatnonzero(self.unit[source] >= 0)
        unit = self.unit[source[inside]]
        bags = np.flatnonzero(np.append(True, unit[1:] != unit[:-1])[: len(unit)])
        at = row[inside] * ids.shape[1] + position[inside]
        return torch.from_numpy(ids), torch.from_numpy(at), torch.from_numpy(bags), unit[bags]

    def _writer(self, values, rows, at, bags, layers: range, offset: int) -> Callable[[int, torch.Tensor], None]:
        """What receives the neurons of one layer, (passages, tokens, neurons), and writes their means over units.

        Some networks (OPT) hand them over as (passages * tokens, neurons).
        """
        column = np.cumsum([0, *(self.widths[layer] for layer in layers)]) - offset

        def write(layer: int, neurons: torch.Tensor) -> None:
            flat = neurons.flatten(0, -2).float()
            pooled = torch.nn.functional.embedding_bag(at.to(flat.device), flat, bags.to(flat.device), mode="mean")
            least, most = torch.aminmax(pooled)
            largest = torch.finfo(self.dtype).max
            if not (-largest <= least and most <= largest):  # as it is for NaN, too
                raise StudyError(
                    f"layer {layer} gives activations that are not finite in {self.dtype_name}; "
                    "the weights are damaged, or activations.dtype must be wider"
                )
            pooled = pooled.to(self.dtype)
            left, right = column[layer - layers[0]], column[layer - layers[0] + 1]
            low, high = max(left, 0), min(right, values.shape[1])
            values[:, low:high].index_copy_(0, rows, pooled[:, low - left : high - left].to(self.device))

        return write

    def arguments(self, ids: torch.Tensor, passages: np.ndarray) -> dict:
        """What the network is called with. Encoders look ahead, so they are told where a passage ends."""
        if self.causal:
            return {"input_ids": ids.to(self.device), "use_cache": False}
        inside = np.arange(ids.shape[1]) < np.diff(self.bounds)[passages][:, None]
        return {"input_ids": ids.to(self.device), "attention_mask": torch.from_numpy(inside).long().to(self.device)}

    def _run(self, arguments: dict, layers: range, write: Callable[[int, torch.Tensor], None]) -> None:
        modules = {layer: self.modules[layer] for layer in layers}
        with torch.inference_mode(), read_inputs(modules, write):
            self.model(**arguments)
