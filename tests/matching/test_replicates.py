"""Stability: sums by groups of documents, resampling, subsets, samples and snapshots, against plain recomputation."""

import numpy as np
import pandas as pd
import pytest
import torch
from memory_sources import MemorySource
from oracle import oracle

from rosetta_scaling.matching.correlation import match_tile, match_tile_growing, merge_tiles
from rosetta_scaling.matching.neighbours import pair_numbers, partner_table
from rosetta_scaling.matching.replicates import GroupSums, match_sample, match_subsets, resample
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.points.counts import count_interval
from rosetta_scaling.stages.null_draws import best_other
from rosetta_scaling.units.groups import document_groups

N, M, UNITS, CHUNK, K = 30, 40, 1500, 256, 3


def related(
    seed: int, units: int = UNITS, documents: int = 25, noise: float = 2.0
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Two populations that share some sources, whose strength differs between documents."""
    rng = np.random.default_rng(seed)
    doc = np.sort(rng.integers(0, documents, units))
    sources = rng.standard_normal((M, units)) * rng.gamma(2, 1, (M, documents))[:, doc]
    a = sources[:N] + noise * rng.standard_normal((N, units))
    b = sources + noise * rng.standard_normal((M, units))
    a[4] = 3.0
    return torch.tensor(a * 50 + 9, dtype=torch.float32), torch.tensor(b, dtype=torch.float32), doc


def mutual(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table.rank_a > 0) & (table.rank_b > 0)].reset_index(drop=True)


def best_of(a, b, k: int = K + 1):
    return match_tile(MemorySource(a, CHUNK), MemorySource(b, CHUNK), Tile(0, len(a), 0, len(b)), k)


def test_correlations_from_group_sums_are_those_of_repeated_documents():
    a, b, doc = related(0)
    group = document_groups(doc, 0)
    pairs = torch.cartesian_prod(torch.arange(N), torch.arange(M)).T
    sums = GroupSums(MemorySource(a, CHUNK), MemorySource(b, CHUNK), pairs, group)
    weights = np.random.default_rng(1).integers(0, 4, (len(sums.count), 5))
    found = sums.correlations(torch.tensor(weights, dtype=torch.float64))
    for draw, weight in enumerate(weights.T):
        again = torch.tensor(np.repeat(np.arange(UNITS), weight[group]))
        expected = oracle(a[:, again], b[:, again])
        r = found[:, draw].reshape(N, M).double().numpy()
        assert np.isneginf(r[4]).all()
        np.testing.assert_allclose(np.delete(r, 4, 0), np.delete(expected, 4, 0), atol=1e-5)


def test_resampled_matches_are_those_of_repeated_documents():
    """With all neurons among the near ones, a draw equals matching the repeated documents from the start."""
    a, b, doc = related(1)
    group = document_groups(doc, 0)
    near = best_of(a, b, M)
    code = torch.unique(torch.cat([pair_numbers(near[i], M, i == 1).flatten() for i in (0, 1)]).clamp(min=0))
    pairs = torch.stack([code // M, code % M])
    sums = GroupSums(MemorySource(a, CHUNK), MemorySource(b, CHUNK), pairs, group)
    draws, groups = 4, len(sums.count)
    found = resample(sums, near, K, draws, seed=[7])
    rng = np.random.default_rng(7)
    weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=draws)
    assert (weights.sum(1) == groups).all()
    for draw in range(draws):
        again = torch.tensor(np.repeat(np.arange(UNITS), weights[draw][group]))
        expected = mutual(partner_table(*best_of(a[:, again], b[:, again]), K))
        one = mutual(found[found.draw == draw].drop(columns="draw"))
        assert set(zip(one.neuron_a, one.neuron_b, strict=True)) == set(
            zip(expected.neuron_a, expected.neuron_b, strict=True)
        )
        np.testing.assert_allclose(one.r.sort_values(), expected.r.sort_values(), atol=1e-5)


@pytest.mark.slow(0.3)
def test_the_interval_of_a_count_covers_its_mean_over_new_documents():
    """Counts on new documents scatter around a mean, which intervals from single sets of documents must hold."""
    counts, intervals = [], []
    for seed in range(60):
        a, b, doc = related(100 + seed, units=800, documents=40, noise=6)
        near = best_of(a, b, 9)
        counts.append(int(((partner_table(*near, 1)[["rank_a", "rank_b"]] == 1).all(axis=1)).sum()))
        if seed % 2:
            continue
        code = torch.unique(torch.cat([pair_numbers(near[i], M, i == 1).flatten() for i in (0, 1)]))
        code = code[code >= 0]
        pairs = torch.stack([code // M, code % M])
        sums = GroupSums(MemorySource(a, CHUNK), MemorySource(b, CHUNK), pairs, document_groups(doc, 0))
        draws = resample(sums, near, 1, 60, seed=[seed])
        resampled = ((draws[["rank_a", "rank_b"]] == 1).all(axis=1)).groupby(draws.draw).sum()
        intervals.append(count_interval(counts[-1], resampled.to_numpy(float), 0.95))
    covered = [i["count_low"] <= np.mean(counts) <= i["count_high"] for i in intervals]
    assert np.mean(covered) >= 0.8
    width = np.mean([i["count_high"] - i["count_low"] for i in intervals])
    assert 0.6 < width / (4 * np.std(counts)) < 1.7, "neither so wide that it says nothing"


def test_an_interval_is_not_made_up():
    assert np.isnan(count_interval(5, np.array([3.0, np.nan]), 0.95)["count_low"])
    assert count_interval(5, np.array([2.0, 4.0, 3.0]), 0.95)["count_low"] == pytest.approx(4.05)
    assert count_interval(0, np.array([2.0, 4.0, 3.0]), 0.95)["count_low"] == 0


def test_subsets_are_matched_as_if_the_models_had_no_other_neurons():
    a, b, _ = related(2)
    subsets = [(np.array([0, 3, 4, 9]), np.array([1, 3, 9, 20, 33])), (np.arange(N), np.arange(M))]
    found = match_subsets(MemorySource(a, CHUNK), MemorySource(b, CHUNK), subsets, K)
    for draw, (mine, other) in enumerate(subsets):
        expected = partner_table(*best_of(a[mine], b[other]), K)
        expected = expected.assign(neuron_a=mine[expected.neuron_a], neuron_b=other[expected.neuron_b])
        one = found[found.draw == draw].drop(columns="draw").reset_index(drop=True)
        pd.testing.assert_frame_equal(one, expected, atol=1e-6)


def test_a_sample_tells_the_same_of_its_neurons_as_the_whole():
    a, b, _ = related(3)
    expected = partner_table(*best_of(a, b), K)
    index_a, index_b = np.array([0, 4, 7, 8, 21, 22, 29]), np.array([3, 11, 12, 39])

    def match(x, y):
        return match_tile(x, y, Tile(0, sum(x.widths), 0, sum(y.widths)), K + 1)

    found = match_sample(MemorySource(a, CHUNK), MemorySource(b, CHUNK), index_a, index_b, k=K, match=match)
    names = ["neuron_a", "neuron_b", "r", "rank_a", "rank_b", "margin_a"]
    for side, index in (("a", index_a), ("b", index_b)):
        rows = [t[t[f"neuron_{side}"].isin(index)] for t in (found, mutual(expected))]
        one, other = (mutual(t)[names].sort_values(names[:2], ignore_index=True) for t in rows)
        assert len(other)
        pd.testing.assert_frame_equal(one, other, atol=1e-6)
        best = [t[(t[f"rank_{side}"] == 1) & t[f"neuron_{side}"].isin(index)] for t in (found, expected)]
        assert set(best[0].r.round(4)) == set(best[1].r.round(4))


def test_snapshots_of_one_pass_are_matches_of_the_first_units():
    a, b, _ = related(4)
    source = MemorySource(a, CHUNK)
    found = match_tile_growing(source, MemorySource(b, CHUNK), Tile(0, N, 0, M), K, shares=[0.1, 0.3, 0.5, 0.99])
    assert list(found) == [CHUNK, 2 * CHUNK, 3 * CHUNK, UNITS]  # whole chunks; 0.99 is all of them
    assert source.passes == 1
    for units, sides in found.items():
        for one, other in zip(sides, best_of(a[:, :units], b[:, :units], K), strict=True):
            torch.testing.assert_close(one.partner, other.partner)
            torch.testing.assert_close(one.r, other.r, atol=1e-6, rtol=0)


def test_the_best_other_neuron_of_a_model_is_not_itself():
    a, _, _ = related(5)
    a[7] = a[2]  # twins
    source = [MemorySource(a, CHUNK) for _ in "ab"]
    r, partner = best_other(match_tile(*source, Tile(0, N, 0, N), 3)[0])
    expected = oracle(a, a)
    np.fill_diagonal(expected, -np.inf)
    expected = np.nan_to_num(expected, nan=-np.inf)
    varied = np.delete(np.arange(N), 4)
    assert partner[4] == -1
    np.testing.assert_allclose(r[varied], expected[varied].max(1), atol=1e-5)
    assert (partner[2], partner[7]) == (7, 2)
    whole = merge_tiles(Tile(0, N, 0, N), [(Tile(0, N, 0, N), *match_tile(*source, Tile(0, N, 0, N), 3))], 3)[0]
    np.testing.assert_array_equal(best_other(whole)[1], partner)
