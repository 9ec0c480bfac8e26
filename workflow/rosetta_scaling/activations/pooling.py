"""Means over the positions of every unit, rounded to the dtype of storage; on a GPU in one pass over memory."""

from typing import NamedTuple

import torch

from rosetta_scaling.numerics import devices


class Bags(NamedTuple):
    """Which positions belong to every unit."""

    places: torch.Tensor  # (positions in units,) numbers of rows of values, one unit after the other
    begins: torch.Tensor  # (units + 1,) where those of every unit begin in `places`, and their number

    def to(self, device: torch.device) -> "Bags":
        return Bags(self.places.to(device), self.begins.to(device))


class Filled(NamedTuple):
    """Where means go."""

    out: torch.Tensor  # (rows, neurons) in the dtype of storage
    at: torch.Tensor  # (units,) the row of every unit
    wrong: torch.Tensor  # (1,) int32: raised when means are not finite in that dtype


def pool_into(rows: torch.Tensor, bags: Bags, filled: Filled) -> None:
    """Write means of rows (positions, neurons) over every bag, summed in float32; nothing is read from the device."""
    rows = rows.to(filled.out.device)  # a network may be spread over several devices
    if devices.runs_kernels(rows):
        from rosetta_scaling.activations import kernels

        kernels.pool_rows(rows, bags, filled.out, filled.at, wrong=filled.wrong)
        return
    pooled = means(rows, bags)
    least, most = torch.aminmax(pooled)
    largest = torch.finfo(filled.out.dtype).max
    filled.wrong.add_(~((-largest <= least) & (most <= largest)))  # not so for NaN, either
    filled.out.index_copy_(0, filled.at, pooled.to(filled.out.dtype))


def means(rows: torch.Tensor, bags: Bags) -> torch.Tensor:
    """Means (units, neurons) of rows (positions, neurons), float32."""
    return torch.nn.functional.embedding_bag(bags.places, rows.float(), bags.begins[:-1], mode="mean")
