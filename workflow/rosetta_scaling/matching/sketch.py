"""Matching by sketches: a small signed fold of the activations finds candidates, exact correlations decide.

A sketch folds many units into few slots: every unit is multiplied by a random sign and added to the slot whose turn it
is. Chunks are folded onto chunks, so neighbouring units, which resemble each other, never share a slot. The product of
two sketches estimates Pearson's r without bias; for unit-by-unit independent activations its variance is
(1 + r^2) * sum over slots of f(f - 1) / units^2, where f is the number of units in a slot (a count sketch, Charikar et
al. 2002, with slots dealt out evenly). A model is sketched once, however many models it is compared with.

What a sketch finds is never reported. The best `candidates` partners of a neuron whose estimates reach within the error
of the best ones are re-scored exactly, in one pass for all pairs of models at once. A neuron is *certified* when its
k-th best exact correlation is above what any partner left out may have: the highest estimate left out plus its error
bound. The others get a row of exact correlations with all neurons of the other model. The certificate is probabilistic:
the bound is six standard errors, or more where a re-scored pair was seen to deviate more.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from rosetta_scaling.matching.correlation import Moments, add_products, in_cache
from rosetta_scaling.matching.neighbours import Neighbours, best_in_rows
from rosetta_scaling.matching.tiles import CHUNK_UNITS, Tile
from rosetta_scaling.numerics.ranking import strongest
from rosetta_scaling.numerics.running_sums import pass_over
from rosetta_scaling.store.tables import TensorFile, atomic, read_json, read_tensors, write_json, write_tensors

log = logging.getLogger(__name__)

STANDARD_ERRORS = 6.0  # of a certificate: about one wrong bound in 10^9
OVERESTIMATED = 5.0  # standard errors by which a best partner may have been: one in 10^6 costs a row of exact values
TOGETHER = 4  # blocks per product: fewer additions to the sums
ROUNDING = 2.0**-8  # of an estimate, relative: slots are stored in bfloat16, and products may be rounded to it


# -- one model -------------------------------------------------------------------------------------------------------


def write_sketch(source, slots: int, folder: Path, device: torch.device, pieces: int = 1) -> None:
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
                for rows in in_cache(len(x)):
                    total[rows, : x.shape[1]].addcmul_(x[rows], sign)
                if (i + 1) % folds == 0 or i + 1 == chunks:
                    for rows in in_cache(len(x)):
                        folded[rows] = total[rows].div_(running.scale[rows, None])
                    file.write(i // folds, start, folded)
                    total.zero_()
            scale = running.scale.double()
            offset = running.sum / running.count / scale  # of the mean from the shift
            moments["offset"][start:stop] = offset.cpu()
            moments["mean"][start:stop] = (running.shift.double() + offset).cpu()
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

    def chunks(self, start: int, stop: int, dtype: torch.dtype) -> Iterator[torch.Tensor]:
        """Standardised slots (stop - start neurons, slots of up to TOGETHER blocks), the same memory each time."""
        offset, inverse_norm = self.offset[start:stop, None].float(), self.inverse_norm[start:stop, None]
        blocks = self.file.shape[0]
        out = torch.empty(stop - start, min(TOGETHER, blocks) * CHUNK_UNITS, dtype=dtype)
        for first in range(0, blocks, TOGETHER):
            group = range(first, min(first + TOGETHER, blocks))
            for place, block in enumerate(group):
                stored, ones = self.file.read(block, start, stop), self._folded_ones(block)
                columns = slice(place * CHUNK_UNITS, (place + 1) * CHUNK_UNITS)
                for rows in in_cache(len(out)):
                    x = stored[rows].float().addcmul_(offset[rows], ones, value=-1)
                    out[rows, columns] = x.mul_(inverse_norm[rows])
            yield out[:, : len(group) * CHUNK_UNITS]

    def _folded_ones(self, block: int) -> torch.Tensor:
        """The sketch of a neuron that is 1 everywhere."""
        return sum(sign * inside for sign, inside in self._signs_of(block))

    def _signs_of(self, block: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Of every chunk of a block: its signs, and which of its places hold a unit."""
        for chunk in range(block * self.folds, (block + 1) * self.folds):
            yield signs(chunk), torch.arange(CHUNK_UNITS) + chunk * CHUNK_UNITS < self.units

    def variance(self) -> float:
        """Variance of an estimate of r = 0: sum over slots of f(f - 1) / units^2."""
        total = 0
        for block in range(self.file.shape[0]):
            held = sum(inside.long() for _, inside in self._signs_of(block))
            total += int((held * (held - 1)).sum())
        return total / self.units**2


def error_bound(estimate: torch.Tensor, variance: float, standard_errors: float) -> torch.Tensor:
    """How far the exact correlation may lie from an estimate."""
    r = estimate.abs().clamp(max=1)
    return standard_errors * torch.sqrt((1 + r**2) * variance) + ROUNDING * r


# -- candidates of one pair ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidates:
    """What is to be re-scored of a pair of models."""

    pairs: torch.Tensor  # (2, n) neurons of A and of B, sorted, each pair once
    estimate: torch.Tensor  # (n,)
    left_out_a: torch.Tensor  # (neurons of A,) highest estimate that is not re-scored; -inf when there is none
    left_out_b: torch.Tensor
    variance: float

    def write(self, path: Path) -> None:
        tensors = {name: value for name, value in vars(self).items() if name != "variance"}
        write_tensors(path, tensors | {"variance": torch.tensor(self.variance, dtype=torch.float64)})

    @classmethod
    def read(cls, path: str | Path) -> "Candidates":
        values = read_tensors(path)
        return cls(**values | {"variance": float(values["variance"])})


def find_candidates(
    a: Sketch, b: Sketch, tiles: list[Tile], k: int, limit: int, device: torch.device, dtype: torch.dtype
) -> Candidates:
    """At most `limit` candidates of every neuron, enough to hold the k best unless the sketch errs by too much."""
    best_a = Neighbours.empty(sum(a.widths), limit + 1)
    best_b = Neighbours.empty(sum(b.widths), limit + 1)
    for tile in tiles:
        estimate = torch.zeros(tile.a1 - tile.a0, tile.b1 - tile.b0, device=device)
        for x, y in zip(a.chunks(tile.a0, tile.a1, dtype), b.chunks(tile.b0, tile.b1, dtype), strict=True):
            add_products(estimate, x.to(device), y.to(device), dtype)
        constant_a, constant_b = a.constant[tile.a0 : tile.a1], b.constant[tile.b0 : tile.b1]
        estimate[constant_a.to(device)] = -torch.inf
        estimate[:, constant_b.to(device)] = -torch.inf
        best_a.merge(tile.a0, best_in_rows(estimate, limit + 1, tile.b0, constant_a))
        best_b.merge(tile.b0, best_in_rows(estimate.T, limit + 1, tile.a0, constant_b))
    variance = a.variance()
    chosen_a, left_out_a = _within_error(best_a, k, variance)
    chosen_b, left_out_b = _within_error(best_b, k, variance)
    pairs = torch.cat([_pairs(best_a, chosen_a), _pairs(best_b, chosen_b).flip(0)], 1)
    estimate = torch.cat([best_a.r[chosen_a], best_b.r[chosen_b]])
    code, where = torch.unique(pairs[0] * len(best_b.r) + pairs[1], return_inverse=True)
    first = torch.empty_like(code).scatter_(0, where, torch.arange(len(where)))  # either side's estimate is the same
    return Candidates(
        torch.stack([code // len(best_b.r), code % len(best_b.r)]), estimate[first], left_out_a, left_out_b, variance
    )


def _within_error(best: Neighbours, k: int, variance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Which partners may be among the k best, as a mask (neurons, limit + 1), and the best estimate left out.

    The one after them is always chosen too: the likely runner-up.
    """
    bound = error_bound(best.r, variance, STANDARD_ERRORS)
    kth = best.r[:, k - 1, None]
    lowest = kth - error_bound(kth, variance, OVERESTIMATED)
    chosen = best.r + bound >= lowest
    chosen[:, : k + 1] = True
    chosen &= best.partner >= 0
    chosen[:, -1] = False  # beyond the limit
    return chosen, best.r.masked_fill(chosen, -torch.inf).amax(1)


def _pairs(best: Neighbours, chosen: torch.Tensor) -> torch.Tensor:
    neuron = torch.arange(len(best.r))[:, None].expand_as(best.partner)
    return torch.stack([neuron[chosen], best.partner[chosen]])


# -- exact correlations of chosen pairs, for many pairs of models in one pass ----------------------------------------


def standardised_chunks(
    sources: dict, sketches: dict[str, Sketch], device, first_chunk: int = 0
) -> Iterator[dict[str, torch.Tensor]]:
    """Chunks of the same units of several models, whose dot products over all chunks are Pearson's r."""
    mean = {name: sketches[name].mean.float()[:, None].to(device) for name in sources}
    inverse_norm = {name: sketches[name].inverse_norm[:, None].to(device) for name in sources}
    memory = {name: torch.empty(len(mean[name]), source.chunk, device=device) for name, source in sources.items()}
    for chunks in zip(*(source.chunks(first_chunk=first_chunk) for source in sources.values()), strict=True):
        standard = {}
        for name, values in zip(sources, chunks, strict=True):
            values = values.to(device)
            standard[name] = (
                memory[name]
                if values.shape[1] == memory[name].shape[1]
                else torch.empty_like(values, dtype=torch.float32)
            )
            for rows in in_cache(len(values)):
                x = standard[name][rows].copy_(values[rows])
                x.sub_(mean[name][rows]).mul_(inverse_norm[name][rows])
        yield standard


def rescore(
    sources: dict,
    sketches: dict[str, Sketch],
    candidates: dict[tuple[str, str], Candidates],
    device: torch.device,
    saved: Path | None = None,
) -> dict[tuple[str, str], torch.Tensor]:
    """Exact r (float64) of the candidates of every pair of models, in one pass over all models that survives a kill."""
    patterns, exact = {}, {}
    for (a, b), found in candidates.items():
        neurons = len(sketches[a].mean), len(sketches[b].mean)
        patterns[a, b] = sparse_pattern(found.pairs, neurons).to(device)
        exact[a, b] = torch.zeros(found.pairs.shape[1], dtype=torch.float64, device=device)
    sums = {f"{a}--{b}": total for (a, b), total in exact.items()}
    for standard in pass_over(partial(standardised_chunks, sources, sketches, device), sums, saved):
        for (a, b), pattern in patterns.items():
            # Only the entries of the pattern are computed, without copying a row.
            exact[a, b] += torch.sparse.sampled_addmm(pattern, standard[a], standard[b].T, beta=0.0).values()
    return {pair: values.cpu() for pair, values in exact.items()}


def sparse_pattern(pairs: torch.Tensor, neurons: Sequence[int]) -> torch.Tensor:
    """A matrix of zeros (neurons of A, neurons of B) that holds just the entries of pairs (2, n), sorted."""
    row_starts = torch.zeros(neurons[0] + 1, dtype=torch.int64)
    row_starts[1:] = torch.bincount(pairs[0], minlength=neurons[0]).cumsum(0)
    zeros = torch.zeros(pairs.shape[1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse")  # that compressed rows are in beta
        return torch.sparse_csr_tensor(row_starts, pairs[1], zeros, tuple(neurons), check_invariants=False)


def exact_rows(
    sources: dict,
    sketches: dict[str, Sketch],
    rows: dict[tuple[str, str], torch.Tensor],
    device: torch.device,
    saved: Path | None = None,
) -> dict[tuple[str, str], torch.Tensor]:
    """Exact r (rows, neurons of B) of some neurons of A, for (A, B) in `rows`, in one pass over all models."""
    total = {(a, b): torch.zeros(len(index), len(sketches[b].mean), device=device) for (a, b), index in rows.items()}
    sums = {f"{a}--{b}": r for (a, b), r in total.items()}
    for standard in pass_over(partial(standardised_chunks, sources, sketches, device), sums, saved):
        for (a, b), index in rows.items():
            add_products(total[a, b], standard[a][index.to(device)], standard[b], torch.float32)
    for (_, b), r in total.items():
        r[:, sketches[b].constant.to(device)] = -torch.inf
    return total


# -- certificates ----------------------------------------------------------------------------------------------------


def best_candidates(found: Candidates, exact: torch.Tensor, keep: int, neurons: tuple[int, int], side: int):
    """The best re-scored partners of every neuron of one side (0 or 1), by exact r."""
    mine, other = found.pairs[side], found.pairs[1 - side]
    order = torch.argsort(mine, stable=True)
    mine, other, r = mine[order], other[order], exact[order].float()
    count = torch.bincount(mine, minlength=neurons[side])
    place = torch.arange(len(mine)) - (count.cumsum(0) - count)[mine]
    best = Neighbours.empty(neurons[side], max(keep, int(count.max()) if len(mine) else keep))
    best.r[mine, place], best.partner[mine, place] = r, other
    return Neighbours(*strongest(best.r, best.partner, keep, dim=1), best.constant)


def certified(
    best: Neighbours, k: int, left_out: torch.Tensor, variance: float, standard_errors: float
) -> torch.Tensor:
    """Neurons none of whose partners left out can be among the k best: mask (neurons,)."""
    return best.r[:, k - 1] > left_out + error_bound(left_out, variance, standard_errors)


def match_by_sketch(
    sources: dict,
    sketches: dict[str, Sketch],
    candidates: dict[tuple[str, str], Candidates],
    k: int,
    device: torch.device,
    work_dir: Path | None = None,
) -> dict[tuple[str, str], tuple[Neighbours, Neighbours, dict]]:
    """The k best partners of every neuron and the next, both ways, for all pairs of models; and how certain they were.

    Both passes over the models are saved on the way to `work_dir`, if any, whose path names all that they depend on.
    Of a certified neuron the k best are exact. The next one, from which margins are taken, is the best that was
    re-scored.
    """
    exact = rescore(sources, sketches, candidates, device, work_dir and work_dir / "candidates.safetensors")
    best, uncertain, report = {}, {}, {}
    for (a, b), found in candidates.items():
        neurons = len(sketches[a].mean), len(sketches[b].mean)
        deviation = (exact[a, b] - found.estimate).abs() - ROUNDING * found.estimate.abs()
        seen = float((deviation / torch.sqrt((1 + exact[a, b] ** 2) * found.variance)).max()) if len(deviation) else 0.0
        errors = max(STANDARD_ERRORS, seen) if found.variance else 0.0
        report[a, b] = {"rescored": len(deviation), "largest_error": seen if found.variance else 0.0}
        for side, (mine, other, left_out) in enumerate(((a, b, found.left_out_a), (b, a, found.left_out_b))):
            best[mine, other] = best_candidates(found, exact[a, b], k + 1, neurons, side)
            best[mine, other].constant[:] = sketches[mine].constant
            sure = certified(best[mine, other], k, left_out, found.variance, errors) | sketches[mine].constant
            report[a, b][f"certified_{'ab'[side]}"] = float(sure.double().mean())
            if not sure.all():
                uncertain[mine, other] = (~sure).nonzero().flatten()
    if uncertain:
        saved = work_dir and work_dir / "rows.safetensors"
        for (mine, other), r in exact_rows(sources, sketches, uncertain, device, saved).items():
            index = uncertain[mine, other]
            rows = best_in_rows(r, k + 1, 0, sketches[mine].constant[index])
            best[mine, other].r[index], best[mine, other].partner[index] = rows.r, rows.partner
    return {(a, b): (best[a, b], best[b, a], report[a, b]) for a, b in candidates}
