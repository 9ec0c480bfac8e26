"""Which neurons of two models may match, by their sketches."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from rosetta_scaling.matching.neighbours import Neighbours, best_in_rows
from rosetta_scaling.matching.products import add_products
from rosetta_scaling.matching.sketch import OVERESTIMATED, STANDARD_ERRORS, Sketch, error_bound
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.store.tensors import read_tensors, write_tensors

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


class Search(NamedTuple):
    """How many candidates are looked for, and with which arithmetic."""

    k: int  # partners that are wanted of every neuron
    limit: int  # candidates of a neuron, at most
    device: torch.device
    dtype: torch.dtype  # of the factors of products; sums are float32


def find_candidates(a: Sketch, b: Sketch, tiles: list[Tile], search: Search) -> Candidates:
    """Candidates of every neuron, enough to hold the k best unless the sketch errs by too much."""
    k, limit, device, dtype = search
    best_a = Neighbours.empty(sum(a.widths), limit + 1)
    best_b = Neighbours.empty(sum(b.widths), limit + 1)
    for tile in tiles:
        estimate = torch.zeros(tile.a1 - tile.a0, tile.b1 - tile.b0, device=device)
        slots = a.chunks(tile.a0, tile.a1, dtype, device), b.chunks(tile.b0, tile.b1, dtype, device)
        for x, y in zip(*slots, strict=True):
            add_products(estimate, x, y, dtype)
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
