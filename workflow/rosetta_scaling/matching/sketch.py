"""Matching by sketches: a small signed fold of the activations finds candidates, exact correlations decide.

A sketch folds many units into few slots: every unit is multiplied by a random sign and added to one of the slots, in
turn. Chunks are folded onto chunks, so neighbouring units, which are alike, never share a slot. The product of two
sketches estimates Pearson's r without bias; for unit-by-unit independent activations its variance is
(1 + r^2) * sum over slots of f(f - 1) / units^2, where f is the number of units in a slot (a count sketch, Charikar et
al. 2002, with slots dealt out evenly). A model is sketched once, however many models it is compared with.

What a sketch finds is never reported. The best `candidates` partners of a neuron whose estimates reach within the error
of the best ones are re-scored exactly, in one pass for all pairs of models at once. A neuron is *certified* when its
k-th best exact correlation is above what any partner left out may have: the highest estimate left out plus its error
bound. The others get a row of exact correlations with all neurons of the other model. The certificate is probabilistic:
the bound is six standard errors, or more where a re-scored pair was seen to deviate more.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from rosetta_scaling.activations.ahead import on_device
from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.activations.sources import Source
from rosetta_scaling.numerics.moments import Moments, in_cache
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.tables import read_json, write_json
from rosetta_scaling.store.tensors import TensorFile, read_tensors, write_tensors

STANDARD_ERRORS = 6.0  # of a certificate: about one wrong bound in 10^9
OVERESTIMATED = 5.0  # standard errors by which a best partner may have been: one in 10^6 costs a row of exact values
TOGETHER = 4  # blocks per product: fewer additions to the sums
ROUNDING = 2.0**-8  # of an estimate, relative: slots are stored in bfloat16, and products may be rounded to it


# -- one model -------------------------------------------------------------------------------------------------------


def write_sketch(source: Source, slots: int, folder: Path, *, device: torch.device, pieces: int = 1) -> None:
    """Write folder/{sketch.safetensors, moments.safetensors, summary.json} in one pass over a source.

    With `pieces`, neurons are taken in so many passes, to need less memory. sketch.safetensors holds shifted, signed
    and folded activations (blocks, neurons, chunk) in bfloat16.
    """
    neurons, chunks = sum(source.widths), -(-source.units // CHUNK_UNITS)
    folds = -(-chunks // max(1, slots // CHUNK_UNITS))  # chunks per block of slots
    blocks = -(-chunks // folds)
    moments = {name: torch.empty(neurons, dtype=torch.float64) for name in ("mean", "offset", "norm")}
    with atomic(folder) as part:
        part.mkdir()
        file = TensorFile.create(part / "sketch.safetensors", (blocks, neurons, CHUNK_UNITS), "bfloat16")
        for piece in range(pieces):
            start, stop = neurons * piece // pieces, neurons * (piece + 1) // pieces
            running = Moments(stop - start, device)
            folded = torch.empty(stop - start, CHUNK_UNITS, dtype=torch.bfloat16)
            total, memory = torch.zeros(2, stop - start, CHUNK_UNITS, device=device)
            for i, values in enumerate(source.chunks(start, stop)):
                x = memory[:, : values.shape[1]]
                if (factor := running.add(values.to(device), x)) is not None:
                    total *= factor[:, None]
                sign = signs(i, device)[: x.shape[1]]
                for rows in in_cache(len(x), device):
                    total[rows, : x.shape[1]].addcmul_(x[rows], sign)
                if (i + 1) % folds == 0 or i + 1 == chunks:
                    for rows in in_cache(len(x), device):
                        folded[rows] = total[rows].div_(running.scale[rows, None])
                    file.write(i // folds, start, folded)
                    total.zero_()
            scale = running.scale.double()
            offset = running.sum / running.count / scale  # of the mean from the shift
            moments["offset"][start:stop] = offset.cpu()
            moments["mean"][start:stop] = running.mean().cpu()
            moments["norm"][start:stop] = (running.norm() / scale).cpu()
            if piece == 0:
                moments["constant"] = torch.zeros(neurons, dtype=torch.bool)
            moments["constant"][start:stop] = running.constant.cpu()
        file.seal()
        write_tensors(part / "moments.safetensors", moments)
        about = {"neurons": source.widths, "units": source.units, "weights": source.weights, "folds": folds}
        write_json(part / "summary.json", about)


def signs(chunk: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """The random signs of the units of a chunk, the same for every model, shape (CHUNK_UNITS,)."""
    generator = torch.Generator().manual_seed(chunk)
    return (2.0 * torch.randint(0, 2, (CHUNK_UNITS,), generator=generator) - 1).to(device)


class Sketch:
    """What write_sketch wrote: the sketch of a model, and the means and norms of its neurons."""

    BYTES_PER_NEURON = 12 * CHUNK_UNITS  # while it is made: a chunk as stored, as float32, folded, and as written

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        summary = read_json(self.folder / "summary.json")
        self.widths, self.units, self.weights = summary["neurons"], summary["units"], summary["weights"]
        self.folds = summary["folds"]
        self.file = TensorFile(self.folder / "sketch.safetensors")
        self.file.check()
        moments = read_tensors(self.folder / "moments.safetensors")
        self.mean, self.offset, self.norm = moments["mean"], moments["offset"], moments["norm"]
        self.constant = moments["constant"]
        self.inverse_norm = torch.where(self.constant, 0.0, 1 / self.norm).float()

    def chunks(
        self, start: int, stop: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> Iterator[torch.Tensor]:
        """Standardised slots (stop - start neurons, slots of up to TOGETHER blocks), the same memory each time."""
        offset, inverse_norm = (of[start:stop, None].float().to(device) for of in (self.offset, self.inverse_norm))
        blocks = self.file.shape[0]
        out = torch.empty(stop - start, min(TOGETHER, blocks) * CHUNK_UNITS, dtype=dtype, device=device)
        read = on_device((self.file.read(block, start, stop) for block in range(blocks)), device)
        for first in range(0, blocks, TOGETHER):
            group = range(first, min(first + TOGETHER, blocks))
            for place, block in enumerate(group):
                stored, ones = next(read), self._folded_ones(block).to(device)
                columns = slice(place * CHUNK_UNITS, (place + 1) * CHUNK_UNITS)
                for rows in in_cache(len(out), out.device):
                    x = stored[rows].float().addcmul_(offset[rows], ones, value=-1)
                    out[rows, columns] = x.mul_(inverse_norm[rows])
            yield out[:, : len(group) * CHUNK_UNITS]

    def _folded_ones(self, block: int) -> torch.Tensor:
        """The sketch of a neuron that is 1 everywhere."""
        return torch.stack([sign * inside for sign, inside in self._signs_of(block)]).sum(0)

    def _signs_of(self, block: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Of every chunk of a block: its signs, and which of its places hold a unit."""
        for chunk in range(block * self.folds, (block + 1) * self.folds):
            yield signs(chunk), torch.arange(CHUNK_UNITS) + chunk * CHUNK_UNITS < self.units

    def variance(self) -> float:
        """Variance of an estimate of r = 0: sum over slots of f(f - 1) / units^2."""
        total = 0
        for block in range(self.file.shape[0]):
            held = torch.stack([inside.long() for _, inside in self._signs_of(block)]).sum(0)  # units in every slot
            total += int((held * (held - 1)).sum())
        return total / self.units**2


def error_bound(estimate: torch.Tensor, variance: float, standard_errors: float) -> torch.Tensor:
    """How far the exact correlation may lie from an estimate."""
    r = estimate.abs().clamp(max=1)
    return standard_errors * torch.sqrt((1 + r**2) * variance) + ROUNDING * r
