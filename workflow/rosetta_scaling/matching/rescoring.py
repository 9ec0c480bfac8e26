"""Exact correlations of candidate pairs, in one pass over the activations."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from rosetta_scaling.activations.sources import ResumableSource
from rosetta_scaling.matching.candidates import Candidates
from rosetta_scaling.matching.neighbours import Neighbours, best_in_rows
from rosetta_scaling.matching.products import add_products
from rosetta_scaling.matching.sketch import ROUNDING, STANDARD_ERRORS, Sketch, error_bound
from rosetta_scaling.numerics.moments import in_cache
from rosetta_scaling.numerics.ranking import strongest
from rosetta_scaling.numerics.running_sums import pass_over

# -- exact correlations of chosen pairs, for many pairs of models in one pass ----------------------------------------


def standardised_chunks(
    sources: Mapping[str, ResumableSource], sketches: dict[str, Sketch], device: torch.device, first_chunk: int = 0
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
            for rows in in_cache(len(values), device):
                x = standard[name][rows].copy_(values[rows])
                x.sub_(mean[name][rows]).mul_(inverse_norm[name][rows])
        yield standard


def rescore(
    sources: Mapping[str, ResumableSource],
    sketches: dict[str, Sketch],
    candidates: dict[tuple[str, str], Candidates],
    *,
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
    sources: Mapping[str, ResumableSource],
    sketches: dict[str, Sketch],
    rows: dict[tuple[str, str], torch.Tensor],
    *,
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


def best_candidates(pairs: torch.Tensor, exact: torch.Tensor, keep: int, neurons: int) -> Neighbours:
    """The best re-scored partners of every neuron of one side, by exact r; pairs (2, n): its neurons, and others."""
    mine, other = pairs
    order = torch.argsort(mine, stable=True)
    mine, other, r = mine[order], other[order], exact[order].float()  # (n,)
    count = torch.bincount(mine, minlength=neurons)
    place = torch.arange(len(mine)) - (count.cumsum(0) - count)[mine]  # (n,) of a pair among those of its neuron
    best = Neighbours.empty(neurons, max(keep, int(count.max()) if len(mine) else keep))
    best.r[mine, place], best.partner[mine, place] = r, other
    r, other = strongest(best.r, best.partner, keep, dim=1)
    return replace(best, r=r, partner=other)


def is_certified(
    best: Neighbours, k: int, left_out: torch.Tensor, *, variance: float, standard_errors: float
) -> torch.Tensor:
    """Whether no partner that was left out can be among the k best of a neuron: mask (neurons,)."""
    return best.r[:, k - 1] > left_out + error_bound(left_out, variance, standard_errors)


class Rescored(NamedTuple):
    """The best partners of both models of a pair, and how certain they are."""

    a: Neighbours
    b: Neighbours
    report: dict[str, float]  # rescored, largest_error, certified_a, certified_b


def match_by_sketch(
    sources: Mapping[str, ResumableSource],
    sketches: dict[str, Sketch],
    candidates: dict[tuple[str, str], Candidates],
    k: int,
    *,
    device: torch.device,
    work_dir: Path | None = None,
) -> dict[tuple[str, str], Rescored]:
    """The k best partners of every neuron and the next, both ways, for all pairs of models; and how certain they were.

    Both passes over the models are saved on the way to `work_dir`, if any, whose path names all that they depend on.
    Of a certified neuron the k best are exact. The next one, from which margins are taken, is the best that was
    re-scored.
    """
    exact = rescore(
        sources, sketches, candidates, device=device, saved=work_dir and work_dir / "candidates.safetensors"
    )
    best, uncertain, report = {}, {}, {}
    for (a, b), found in candidates.items():
        neurons = len(sketches[a].mean), len(sketches[b].mean)
        deviation = (exact[a, b] - found.estimate).abs() - ROUNDING * found.estimate.abs()
        seen = float((deviation / torch.sqrt((1 + exact[a, b] ** 2) * found.variance)).max()) if len(deviation) else 0.0
        errors = max(STANDARD_ERRORS, seen) if found.variance else 0.0
        report[a, b] = {"rescored": len(deviation), "largest_error": seen if found.variance else 0.0}
        for side, (mine, other, left_out) in enumerate(((a, b, found.left_out_a), (b, a, found.left_out_b))):
            of_side = found.pairs if side == 0 else found.pairs.flip(0)
            best[mine, other] = best_candidates(of_side, exact[a, b], k + 1, neurons[side])
            best[mine, other].constant[:] = sketches[mine].constant
            sure = is_certified(best[mine, other], k, left_out, variance=found.variance, standard_errors=errors)
            sure |= sketches[mine].constant
            report[a, b][f"certified_{'ab'[side]}"] = float(sure.double().mean())
            if not sure.all():
                uncertain[mine, other] = (~sure).nonzero().flatten()
    if uncertain:
        saved = work_dir and work_dir / "rows.safetensors"
        for (mine, other), r in exact_rows(sources, sketches, uncertain, device=device, saved=saved).items():
            index = uncertain[mine, other]
            rows = best_in_rows(r, k + 1, 0, sketches[mine].constant[index])
            best[mine, other].r[index], best[mine, other].partner[index] = rows.r, rows.partner
    return {(a, b): Rescored(best[a, b], best[b, a], report[a, b]) for a, b in candidates}
