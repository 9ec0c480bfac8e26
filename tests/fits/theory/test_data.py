"""The theory against data: points and counts that obey it, and planted violations."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from judged_fits import COLUMNS, RANKS, judged
from made_points import made_point
from planted_counts import HALF, NEURONS, SCATTER, T3, TOP1, line, only

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.config.parsing import load, parse
from rosetta_scaling.fits.theory.data import point_isolation, theory_table
from rosetta_scaling.points.point import PartnerTables, Point
from rosetta_scaling.schemas.nulls import NULLS


@pytest.fixture
def point() -> Point:
    """Three networks; nothing is matched yet."""
    return empty_point(load(WORKFLOW / "studies/smoke.yaml"))


def empty_point(study) -> Point:
    none, others = matches_of([]).assign(draw=0), ("bloom-r3", "llama-r3")
    nulls = {null: dict.fromkeys(others, none) for null in NULLS}
    return made_point(study, {model: [64, 64] for model in ("neox-r3", *others)}, nulls=nulls)


def with_real(point: Point, real: dict[str, pd.DataFrame]) -> Point:
    return replace(point, real=PartnerTables(real, {}))


def matches_of(r, first: int = 0) -> pd.DataFrame:
    """Mutual best partners with these correlations, of neurons from `first` on."""
    neurons = np.arange(first, first + len(r))
    return pd.DataFrame({"neuron_a": neurons, "neuron_b": neurons, "r": np.array(r, float), "rank_a": 1, "rank_b": 1})


def test_isolation_is_that_of_the_mean_correlation_with_all_partners(point):
    chance = matches_of([0.99], 50).assign(rank_b=2)  # not mutual
    bloom, llama = matches_of([0.8, 0.5, 0.7]), matches_of([0.6, 0.9, 1.0, 0.2], 1)
    point = with_real(point, {"bloom-r3": pd.concat([bloom, chance]), "llama-r3": pd.concat([llama, chance])})
    found = point_isolation(point)
    assert found.criterion.unique().tolist() == [TOP1, HALF]
    assert found.kind.unique().tolist() == ["real", *NULLS]
    row = only(found, criterion=TOP1, kind="real")
    r = np.array([(0.5 + 0.6) / 2, (0.7 + 0.9) / 2])  # neurons 1 and 2; 0, 3 and 4 lack a partner
    assert row.matches == 2
    assert row.isolation == row.isolation_low == row.isolation_high == pytest.approx((r / (1 - r)).mean())
    assert np.isnan(row.rank_slope)
    nothing = only(found, criterion=TOP1, kind="shift")
    assert nothing.matches == 0
    assert nothing[["isolation", "isolation_low", "isolation_high", "rank_slope"]].isna().all()


def test_equal_neurons_have_an_isolation_that_is_finite(point):
    point = with_real(point, {model: matches_of([1.0, 0.5]) for model in point.others})
    assert only(point_isolation(point), criterion=TOP1, kind="real").isolation == pytest.approx((999 + 1) / 2)


def test_nulls_are_counted_and_averaged_draw_by_draw(point):
    draws = [
        matches_of([0.5, 0.6]).assign(draw=0),
        matches_of([0.8], 9).assign(draw=1),
        matches_of([0.4], 3).assign(draw=1),
    ]
    point.nulls["rotate"] = PartnerTables({model: pd.concat(draws) for model in point.others}, {})
    assert point.study.nulls.rotate_draws == 2
    point = with_real(point, {model: matches_of([0.5]) for model in point.others})
    found = point_isolation(point)
    row = only(found, criterion=TOP1, kind="rotate")
    means = [(1 + 1.5) / 2, (4 + 2 / 3) / 2]
    assert row.matches == 2
    assert (row.isolation, row.isolation_low, row.isolation_high) == pytest.approx((np.mean(means), *sorted(means)))
    half = only(found, criterion=HALF, kind="rotate")
    assert half.matches == 1.5
    assert (half.isolation_low, half.isolation_high) == pytest.approx((1.25, 4))


def test_a_sample_of_the_nulls_stands_for_all_neurons():
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    values["nulls"]["rows"] = 16
    values["matching"]["criteria"] = [{}, {"min_r": 0.5}]
    point = empty_point(parse(values))
    assert point.neurons["neox-r3"] == 2 * 4 * 16
    point = with_real(point, {model: matches_of([0.5]) for model in point.others})
    point.nulls["shift"] = PartnerTables({model: matches_of([0.5, 0.6]).assign(draw=0) for model in point.others}, {})
    row = only(point_isolation(point), criterion=TOP1, kind="shift")
    assert row.matches == 2 * 128 / 16
    assert row.isolation == pytest.approx(1.25)


def test_draws_that_cannot_tell_are_no_zeros():
    """Half of the rotations change the anchor, whose neurons then have no excess."""
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    values["matching"]["criteria"] = [{"min_excess": 0.2}]
    point = empty_point(parse(values))
    point = with_real(point, {model: matches_of([0.5]).assign(excess_a=0.3) for model in point.others})
    excess = [0.3, 0.3, np.nan, np.nan]
    rotated = matches_of([0.5, 0.6, 0.5, 0.6]).assign(draw=[0, 0, 1, 1], excess_a=excess)
    for null in NULLS:
        point.nulls[null] = PartnerTables(dict.fromkeys(point.others, rotated), {})
    assert only(point_isolation(point), criterion="mutual_top1_excess0.2", kind="rotate").matches == 2


def test_ranks_give_beta_back(point):
    beta, r0 = 1.7, 30.0
    s = (r0 / np.arange(1, 12)) ** beta - 1
    point = with_real(point, {model: matches_of((s / (1 + s))[::-1]) for model in point.others})
    row = only(point_isolation(point), criterion=HALF, kind="real")
    assert row.rank_slope == pytest.approx(beta)


SMALL = SCATTER**0.4


def planted(alpha: float, gap: float = 0.0, beta: float | None = None, curve: str = "a", kind: str = "real"):
    """Isolations of networks whose matches grow with alpha, and that miss the theory by `gap`."""
    noise = np.array([1.02, 0.99, 1.01, 0.97, 1.01])
    table = pd.DataFrame({"curve": curve, "criterion": TOP1, "kind": kind, "neurons": NEURONS})
    table["matches"] = 0.5 * NEURONS**alpha * SMALL
    table["isolation"] = 0.1 * NEURONS ** (1 - alpha + gap) / SMALL * noise
    return table.assign(rank_slope=(beta or 1 / alpha) * np.array([1.01, 0.98, 1.02, 0.99, 1.0]))


def test_networks_that_obey_the_theory_have_no_gap_and_the_same_beta():
    found = theory_table(planted(0.6), 0.95).set_index("quantity")
    alpha, error, _ = line(NEURONS, NEURONS**0.6 * SMALL)
    noise = planted(0.6).isolation * planted(0.6).matches / NEURONS
    assert found.value.alpha == pytest.approx(alpha)
    assert found.value.isolation_slope == pytest.approx(line(NEURONS, planted(0.6).isolation)[0])
    assert found.predicted.isolation_slope == pytest.approx(1 - alpha)
    slope, small, _ = line(NEURONS, noise)
    assert found.value.gap == pytest.approx(slope, abs=1e-12)
    assert (found.low.gap, found.high.gap) == pytest.approx((slope - T3 * small, slope + T3 * small))
    assert abs(found.value.gap) < 0.02
    assert found.predicted.gap == 0
    assert found.value.beta_sizes == pytest.approx(1 / alpha)
    assert found.low.beta_sizes == pytest.approx(1 / (alpha + T3 * error))
    assert found.high.beta_sizes == pytest.approx(1 / (alpha - T3 * error))
    assert found.value.beta_ranks == pytest.approx(1 / 0.6)
    spread = np.std([1.01, 0.98, 1.02, 0.99, 1.0], ddof=1) / 0.6 / np.sqrt(5)
    t4 = 2.7764451051977987  # 97.5% quantile with 4 degrees of freedom
    assert found.high.beta_ranks - found.value.beta_ranks == pytest.approx(t4 * spread)
    assert found.predicted.beta_ranks == pytest.approx(1 / alpha)
    assert (found.points == 5).all()


def test_planted_theory_is_supported_and_a_planted_violation_is_refuted():
    curves = [{"alpha": 0.6, "curve": "a"}, {"alpha": 0.8, "curve": "b"}]
    obeys = pd.concat([planted(**one) for one in curves])
    nulls = pd.concat([planted(**one | {"gap": 0.9, "kind": "rotate"}) for one in curves])

    def verdict(table: pd.DataFrame) -> str:
        rows = list(theory_table(table, 0.95)[COLUMNS["theory"]].itertuples(index=False, name=None))
        return judged(RANKS, "ab", theory=rows).verdict

    assert verdict(obeys) == SUPPORTED
    assert verdict(pd.concat([obeys, nulls.assign(rank_slope=np.nan)])) == SUPPORTED
    assert verdict(pd.concat([obeys, obeys.assign(kind="rotate")])) == INCONCLUSIVE
    steep = pd.concat([planted(0.6), planted(0.8, beta=2.5, curve="b")])
    assert verdict(steep) == NOT_SUPPORTED


def test_points_without_matches_are_left_out_and_few_points_have_no_theory():
    table = planted(0.6)
    table.loc[[0, 1], ["matches", "isolation", "rank_slope"]] = 0, np.nan, np.nan
    found = theory_table(table, 0.95)
    assert (found.points == 3).all()
    table.loc[2, "rank_slope"] = np.nan
    assert only(theory_table(table, 0.95), quantity="beta_ranks").points == 2
    table.loc[3, "rank_slope"] = np.nan
    one = only(theory_table(table, 0.95), quantity="beta_ranks")
    assert one.points == 1
    assert np.isnan(one.low)
    table.loc[2, "isolation"] = 0.0
    empty = theory_table(table, 0.95)
    assert empty.empty
    assert set(empty) == set(found)
    grows = only(theory_table(planted(1.1), 0.95), quantity="beta_sizes")
    assert np.isnan(grows.value), "alpha above 1 has no beta"
