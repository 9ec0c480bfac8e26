"""Means over the positions of units, by the kernel of a GPU as by torch."""

import contextlib

import pytest
import torch
from as_on_a_card import needs_triton, with_kernels

from rosetta_scaling.activations.pooling import Bags, Filled, pool_into

WAYS = [contextlib.nullcontext, pytest.param(with_kernels, marks=needs_triton)]


def pooled(rows: torch.Tensor, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Means of bags of these lengths, in a shuffled order; what they shall be, in float64; and whether one is wrong."""
    generator = torch.Generator().manual_seed(0)
    places = torch.randperm(len(rows), generator=generator)[: sum(lengths)]
    begins = torch.tensor([0, *lengths]).cumsum(0)
    at = torch.randperm(len(lengths) + 2, generator=generator)[: len(lengths)]  # rows that no unit has stay as they are
    out = torch.full((len(lengths) + 2, rows.shape[1]), 7.0, dtype=torch.float16)
    expected = out.double()
    for bag, row in enumerate(at):
        expected[row] = rows[places[begins[bag] : begins[bag + 1]]].double().mean(0)
    wrong = torch.zeros(1, dtype=torch.int32)
    pool_into(rows, Bags(places, begins), Filled(out, at, wrong))
    return out, expected, int(wrong)


@pytest.mark.parametrize("way", WAYS)
def test_means_go_to_the_rows_of_their_units(way):
    rows = torch.randn(60, 33, generator=torch.Generator().manual_seed(1)).bfloat16()
    with way():
        out, expected, wrong = pooled(rows, [1, 3, 2, 7, 1, 20])
    assert not wrong
    torch.testing.assert_close(out.double(), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [torch.nan, torch.inf, 7e4])  # 7e4 is beyond float16
def test_a_mean_that_cannot_be_stored_is_noticed(way, value):
    rows = torch.ones(10, 5)
    rows[3, 4] = value
    with way():
        assert pooled(rows, [1] * 10)[2]
