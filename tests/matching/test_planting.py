"""Planted pairs: correlations of the parents say of a copy what the copy itself would."""

import numpy as np
import pandas as pd
import pytest
import torch
from memory_sources import MemorySource
from oracle import oracle

from rosetta_scaling.matching.correlation import match_tile
from rosetta_scaling.matching.neighbours import BestPartners
from rosetta_scaling.matching.planting import GRID, Sites, choose_sites, planted_pairs
from rosetta_scaling.matching.tiles import Tile

N, M, UNITS, CHUNK = 24, 30, 700, 128


def networks() -> tuple[torch.Tensor, torch.Tensor]:
    """Two populations with some common sources, hubs, and a constant neuron each."""
    rng = np.random.default_rng(5)
    sources = rng.standard_normal((M, UNITS)) + rng.standard_normal(UNITS)
    a = sources[:N] + 1.5 * rng.standard_normal((N, UNITS))
    b = sources + 1.5 * rng.standard_normal((M, UNITS))
    a[7], b[3] = 2.0, -1.0
    return torch.tensor(a * 40 + 500, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)


def standard(x: torch.Tensor) -> torch.Tensor:
    x = x.double() - x.double().mean()
    return x / x.square().mean().sqrt()


def copied(original: torch.Tensor, host: torch.Tensor, r: float) -> torch.Tensor:
    """The mixture itself."""
    x, y = standard(original), standard(host)
    return r * x + (1 - r**2) ** 0.5 * standard(y - (x * y).mean() * x)


def expected_rank(r: np.ndarray, mine: int) -> tuple[int, float]:
    """Rank of r[mine] among r, and how far it is above the next."""
    others = np.delete(np.nan_to_num(r, nan=-2), mine)
    below = others[others <= r[mine]]
    return 1 + (others > r[mine]).sum(), r[mine] - below.max()


@pytest.mark.parametrize("changed", ["a", "b"])
def test_a_copy_ranks_as_if_it_had_been_put_into_the_activations(changed):
    a, b = networks()
    in_b = Sites(np.array([0, 5, 11, 20]), np.array([9, 0, 29, 14]))
    in_a = Sites(np.array([2, 8, 13]), np.array([1, 23, 10]))
    found = planted_pairs(MemorySource(a, CHUNK), MemorySource(b, CHUNK), in_b, in_a)
    found = found[found.changed == changed]
    assert len(found) == len(GRID) * len((in_b if changed == "b" else in_a).original)
    for row in found.itertuples():
        x, y = a.double().clone(), b.double().clone()
        if changed == "b":
            y[row.neuron_b] = copied(a[row.neuron_a], b[row.neuron_b], row.r)
        else:
            x[row.neuron_a] = copied(b[row.neuron_b], a[row.neuron_a], row.r)
        r = oracle(x, y)
        assert r[row.neuron_a, row.neuron_b] == pytest.approx(row.r, abs=1e-9)
        assert (row.rank_a, row.margin_a) == pytest.approx(expected_rank(r[row.neuron_a], row.neuron_b), abs=2e-6)
        assert (row.rank_b, row.margin_b) == pytest.approx(expected_rank(r[:, row.neuron_b], row.neuron_a), abs=2e-6)


def test_it_does_not_matter_in_which_chunks_units_come_or_which_model_is_called_a():
    a, b = networks()
    in_b, in_a = Sites(np.array([0, 5, 11]), np.array([9, 0, 29])), Sites(np.array([2]), np.array([1]))
    found = planted_pairs(MemorySource(a, CHUNK), MemorySource(b, CHUNK), in_b, in_a)
    whole = planted_pairs(MemorySource(a, UNITS), MemorySource(b, UNITS), in_b, in_a)
    pd.testing.assert_frame_equal(found, whole, atol=1e-5)
    swapped = planted_pairs(MemorySource(b, CHUNK), MemorySource(a, CHUNK), in_a, in_b)
    names = {"_a": "_b", "_b": "_a"}
    swapped = swapped.rename(columns=lambda name: name[:-2] + names.get(name[-2:], name[-2:]))
    swapped = swapped.assign(changed=swapped.changed.map({"a": "b", "b": "a"}))[list(found)]
    keys = ["changed", "r", "neuron_a"]
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True), swapped.sort_values(keys, ignore_index=True), atol=1e-5
    )


def test_hosts_are_neurons_whose_loss_costs_no_match():
    a, b = (torch.randn(n, UNITS, generator=torch.Generator().manual_seed(n)) for n in (N, M))
    a[7], b[3] = 2.0, -1.0
    r = np.nan_to_num(oracle(a, b), nan=-2)
    mutual = {j for j in range(M) if r[r[:, j].argmax()].argmax() == j}
    originals = np.array([i for i in range(N) if r[i].argmax() not in mutual])[:5]
    best = match_tile(MemorySource(a, CHUNK), MemorySource(b, CHUNK), Tile(0, N, 0, M), 3)
    for seed in range(20):
        sites = choose_sites(best, np.sort(np.append(originals, 7)), np.random.default_rng(seed))
        assert sites.original.tolist() == originals.tolist()  # 7 is constant
        assert not set(sites.host) & (mutual | {3} | set(r[originals].argmax(1)))
        assert len(set(sites.host)) == 5


def test_where_no_host_is_free_nothing_is_planted():
    a, _ = networks()
    source = MemorySource(a[:6], CHUNK)
    best = match_tile(source, source, Tile(0, 6, 0, 6), 2)  # every neuron has its mutual partner: itself
    sites = choose_sites(BestPartners(*best), np.arange(3), np.random.default_rng(0))
    assert len(sites.original) == len(sites.host) == 0
    assert planted_pairs(source, MemorySource(a[6:], CHUNK), sites, sites).empty
