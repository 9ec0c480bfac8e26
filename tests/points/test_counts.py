"""Partners, criteria, counts over draws, chance and decomposition, each against a direct calculation."""

import numpy as np
import pandas as pd
import pytest
import torch
from memory_sources import MemorySource
from oracle import oracle

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.matching.correlation import match_tile
from rosetta_scaling.matching.neighbours import partner_table
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.nulls import chance
from rosetta_scaling.numerics.partners import mutual_partners
from rosetta_scaling.points.counts import by_draw, draws_summary, split_half
from rosetta_scaling.points.point import CountRule, PartnerTables
from rosetta_scaling.points.rosetta import orient, rosetta_neurons, rosetta_table, satisfying, strengths

N, M, UNITS = 40, 50, 300


def correlated(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((M, UNITS))
    hub = rng.standard_normal(UNITS)
    a = common[:N] + rng.standard_normal((N, UNITS)) + hub * rng.uniform(0, 2, (N, 1))
    b = common + rng.standard_normal((M, UNITS)) + hub * rng.uniform(0, 2, (M, 1))
    return torch.tensor(a, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)


def partners(a, b, k: int) -> pd.DataFrame:
    return partner_table(*match_tile(MemorySource(a), MemorySource(b), Tile(0, len(a), 0, len(b)), k + 1), k)


@pytest.mark.parametrize("k", [1, 4])
def test_the_table_of_partners_says_what_the_correlations_say(k):
    a, b = correlated()
    r = oracle(a, b)
    rank_a, rank_b = (-r).argsort(1).argsort(1) + 1, (-r).argsort(0).argsort(0) + 1
    table = partners(a, b, k)
    listed = ((rank_a <= k) & (rank_b <= k)) | (rank_a == 1) | (rank_b == 1)
    assert set(zip(table.neuron_a, table.neuron_b, strict=True)) == set(zip(*np.nonzero(listed), strict=True))
    hubs = -np.sort(-r, 1)[:, :k].mean(1), -np.sort(-r, 0)[:k].mean(0)
    csls = np.where((rank_a <= k) & (rank_b <= k), 2 * r - hubs[0][:, None] - hubs[1], -np.inf)
    csls_a, csls_b = (-csls).argsort(1).argsort(1) + 1, (-csls).argsort(0).argsort(0) + 1
    for row in table.itertuples():
        i, j = row.neuron_a, row.neuron_b
        assert row.r == pytest.approx(r[i, j], abs=1e-5)
        assert row.rank_a == (rank_a[i, j] if rank_a[i, j] <= k else 0)
        assert row.rank_b == (rank_b[i, j] if rank_b[i, j] <= k else 0)
        following = np.sort(r[i])[::-1][rank_a[i, j]] if rank_a[i, j] <= k else np.nan
        np.testing.assert_allclose(row.margin_a, r[i, j] - following, atol=1e-5)
        if row.rank_a and row.rank_b:
            assert (row.csls_rank_a, row.csls_rank_b) == (csls_a[i, j], csls_b[i, j])
        else:
            assert (row.csls_rank_a, row.csls_rank_b) == (0, 0)


def test_partners_in_memory_are_those_of_the_tiles_and_ties_go_to_the_lower_index():
    a, b = correlated()
    table = partners(a, b, 1)
    mutual = table[(table.rank_a == 1) & (table.rank_b == 1)].sort_values("neuron_a")
    found = mutual_partners(oracle(a, b))
    assert len(mutual) > 5
    np.testing.assert_array_equal(found.a, mutual.neuron_a)
    np.testing.assert_array_equal(found.b, mutual.neuron_b)
    assert [of.tolist() for of in mutual_partners(np.ones((3, 2)))] == [[0], [0]]


def test_criteria_pick_what_they_say():
    table = partners(*correlated(1), 5)
    table["excess_a"] = np.linspace(-0.2, 0.6, len(table))
    best = (table.rank_a == 1) & (table.rank_b == 1)
    cases = {
        Criterion(): best,
        Criterion(min_r=0.4): best & (table.r >= 0.4),
        Criterion(k=3): table.rank_a.between(1, 3) & table.rank_b.between(1, 3),
        Criterion(mutual=False): table.rank_a == 1,
        Criterion(min_margin=0.1): best & (table.margin_a >= 0.1) & (table.margin_b >= 0.1),
        Criterion(min_excess=0.3): best & (table.excess_a >= 0.3),
        Criterion(mutual=False, min_excess=0.3): (table.rank_a == 1) & (table.excess_a >= 0.3),
        Criterion(score="csls"): (table.csls_rank_a == 1) & (table.csls_rank_b == 1),
    }
    assert len({criterion.name for criterion in cases}) == len(cases)
    for criterion, expected in cases.items():
        assert 0 < expected.sum() < len(table)
        pd.testing.assert_frame_equal(satisfying(table, criterion), table[expected], obj=criterion.name)
    assert Criterion(mutual=False, min_excess=0.5).name == "top1_excess0.5"


def test_turning_a_pair_around_turns_everything():
    a, b = correlated(2)
    table = partners(a, b, 3).assign(draw=0, changed="a")
    expected = partners(b, a, 3).assign(draw=0, changed="b")
    order = ["neuron_a", "neuron_b"]
    found = orient(table, swap=True)[expected.columns].sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(found, expected.sort_values(order, ignore_index=True), atol=1e-6)


def test_all_draws_are_counted_at_once_as_one_by_one():
    rng, criterion = np.random.default_rng(0), Criterion(k=2)

    def table() -> pd.DataFrame:
        drawn = rng.integers(0, 4, (200, 3))
        rows = pd.DataFrame(drawn, columns=["draw", "rank_a", "rank_b"])
        rows = rows.assign(neuron_a=rng.integers(0, 9, 200), neuron_b=rng.integers(0, 9, 200), r=rng.random(200))
        return rows[rows.draw != 2]

    inner, outer = {"b": table(), "c": table()}, {("b", "c"): table()}
    for strict in (False, True):
        found = by_draw(PartnerTables(inner, outer), CountRule("count", criterion, strict), range(4))
        for draw in range(4):
            one = [{key: t[t.draw == draw] for key, t in part.items()} for part in (inner, outer)]
            expected = rosetta_neurons(one[0], one[1] if strict else {}, criterion)
            assert found[draw] == len(expected)
            whole = rosetta_table(9, *one, [criterion])
            assert found[draw] == whole[criterion.name + ("_strict" if strict else "")].sum()
    assert found[2] == 0
    assert found.max() > 0


def test_draws_that_cannot_tell_are_no_zeros():
    table = pd.DataFrame({"draw": [0, 1], "neuron_a": [1, 1], "rank_a": 1, "rank_b": 1, "r": 0.5})
    rule, tables = CountRule("excess", Criterion(min_excess=0.2)), PartnerTables({"b": table}, {})
    assert np.isnan(by_draw(tables, rule, range(2))).all()
    table["excess_a"] = [0.3, np.nan]
    found = by_draw(tables, rule, range(2))
    np.testing.assert_array_equal(found, [1, np.nan])
    assert draws_summary(found).columns("null") == {"null": 1, "null_low": 1, "null_high": 1}
    assert np.isnan(draws_summary(found[1:]).value)


def test_halves_overlap_as_pairs_not_as_neurons():
    rows = {"draw": [0, 0, 0, 1, 1], "neuron_a": [1, 2, 3, 1, 2], "neuron_b": [5, 6, 7, 5, 8]}
    table = pd.DataFrame(rows).assign(rank_a=1, rank_b=1, r=0.5, heldout_r=[0.1, 0.2, 0.3, 0.4, 0.5])
    rule = CountRule("count", Criterion())
    found = split_half(PartnerTables({"b": table}, {}), rule)
    assert found["splithalf_jaccard"] == pytest.approx(1 / 4)  # 1-5; against 2-6, 3-7, 2-8
    assert found["splithalf_r"] == pytest.approx(0.3)
    assert np.isnan(split_half(PartnerTables({"b": table[:0]}, {}), rule)["splithalf_jaccard"])


def test_a_rosetta_neuron_is_as_strong_as_its_weakest_match():
    b = pd.DataFrame({"neuron_a": [1, 2, 3], "rank_a": 1, "rank_b": 1, "r": [0.9, 0.8, 0.3]})
    c = pd.DataFrame({"neuron_a": [1, 2, 4], "rank_a": 1, "rank_b": 1, "r": [0.5, 0.85, 0.3]})
    assert strengths({"b": b, "c": c}, Criterion()).to_dict() == {1: 0.5, 2: 0.8}
    drawn = strengths({"b": b.assign(draw=3), "c": c.assign(draw=3)}, Criterion(), ["draw"])
    assert drawn.index.tolist() == [3, 3]


# -- chance -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(60, 60), (40, 120)])
@pytest.mark.parametrize("criterion", [Criterion(), Criterion(k=3), Criterion(min_r=0.3), Criterion(k=3, min_r=0.45)])
def test_chance_is_what_independent_noise_gives(n, m, criterion):
    units, found = 30, []
    for seed in range(60):
        x = torch.randn(n + m, units, generator=torch.Generator().manual_seed(seed))
        table = partners(x[:n], x[n:], criterion.k)
        found.append(len(rosetta_neurons({"b": table}, {}, criterion)))
    expected = chance.expected_count((n, m), criterion, units)
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx(expected, abs=4 * error + 0.02 * expected)


def test_chance_is_half_of_all_and_nothing_when_r_must_be_high():
    assert chance.expected_count((500, 500), Criterion(), 10**4) == pytest.approx(500 * 500 / 999)
    assert chance.expected_count((500, 500), Criterion(min_r=0.5), 10**4) < 1e-6
    assert chance.expected_count((300, 300, 300), Criterion(), 100) == pytest.approx(300 * (300 / 599) ** 2)
    assert np.isnan(chance.expected_count((9, 9), Criterion(min_margin=0.1), 100))
    for k, factor in ((1, 0.5), (2, 1.25), (5, 3.77)):  # of mutual pairs per neuron: at most so many neurons
        assert chance.expected_count((4000, 4000), Criterion(k=k), 10**4) / 4000 <= 1.001 * min(1, factor)
