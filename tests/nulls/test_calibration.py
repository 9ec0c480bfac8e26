"""Calibration by hand; tests/nulls/test_planted_truth.py has it on networks whose shared neurons are known."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta_scaling.nulls.calibration import Competition, add_excess, add_q_values, candidates, compete, q_values
from rosetta_scaling.schemas.names import UNMARKED


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 1)), min_size=1, max_size=25), st.integers(1, 3))
def test_q_values_are_the_smallest_rate_at_any_least_r(entries, draws):
    r, winner = (np.array(x) for x in zip(*entries, strict=True))
    expected = np.ones(len(r))
    for i in np.flatnonzero(winner == 1):
        rates = [
            ((r[winner == -1] >= least).sum() + 1) / (r[winner == 1] >= least).sum() / draws
            for least in set(r[winner == 1]) | set(r[winner == -1])
            if least <= r[i]
        ]
        expected[i] = min(1, *rates)
    np.testing.assert_allclose(q_values(r.astype(float), winner, 1 / draws), expected)


def table(*rows, **columns) -> pd.DataFrame:
    names = ["neuron_a", "neuron_b", "r", "rank_a", "rank_b"]
    return pd.DataFrame(rows, columns=names).assign(mark_a=UNMARKED, mark_b=UNMARKED, **columns)


REAL = table((0, 5, 0.9, 1, 1), (1, 6, 0.5, 1, 1), (2, 7, 0.4, 1, 1), (3, 7, 0.3, 1, 0), (4, 8, 0.2, 1, 1))
DECOYS = pd.concat(
    [
        table((0, 0, 0.8, 1, 1), (1, 1, 0.6, 1, 1), (2, 2, 0.7, 1, 0), (3, 3, 0.1, 1, 1), draw=0, changed="b"),
        table((0, 0, 0.1, 1, 1), (1, 1, 0.1, 1, 1), (2, 2, 0.1, 1, 1), (3, 3, 0.1, 1, 1), draw=2, changed="b"),
        table((0, 0, 1.0, 1, 1), (1, 1, 1.0, 1, 1), draw=1, changed="a"),  # not a competition for A
    ]
)


def test_competition_takes_the_strongest_and_asks_it_to_be_mutual():
    found = compete(candidates(REAL, DECOYS, 6, "a"))
    assert found.winner.tolist() == [0, 1, -1, -1, -1, -1]  # 2: a decoy that is not mutual; 3: nor the real one; unseen
    np.testing.assert_allclose(found.excess, [0.9 - 0.45, 0.6 - 0.3, 0.7 - 0.25, 0.3 - 0.1, np.nan, np.nan])
    assert found.draws == 2
    assert found.wins().tolist() == [1, 1, 0]
    assert found.wins(0.4).tolist() == [1, 0, 0]
    assert found.q()[:4].tolist() == [0.5, 1, 1, 1]
    assert np.isnan(found.q()[4:]).all()


def test_winners_are_ordered_by_excess():
    """A hub with r of .9 whose decoys reach .8 stands behind a neuron with .6 whose decoys reach .1."""
    real = table(*((i, i, 0.9 if i < 20 else 0.6, 1, 1) for i in range(40)))
    hub = [(i, i, 0.8 if i < 20 else 0.1, 1, 1) for i in range(40)]
    decoys = pd.concat([table(*hub, draw=d, changed="b") for d in range(4)])
    decoys.loc[(decoys.draw == 3) & (decoys.neuron_a < 10), "r"] = 0.95  # which decoys win half of the time
    q = add_q_values(real, decoys, (40, 40)).q_a.to_numpy()
    assert (q[20:] == 1 / 4 / 20).all()
    assert (q[10:20] > 0.05).all()
    assert (q[:10] == 1).all()


def test_where_nothing_competes_there_is_no_q_value():
    one_sided = DECOYS[DECOYS.changed == "b"]
    found = add_q_values(REAL, one_sided, (6, 9))
    assert found.q_b.isna().all()
    assert found.q_a.isna().tolist() == [False, False, False, True, True]
    none = compete(candidates(REAL[:0], DECOYS, 6, "a"))
    assert none.wins().tolist() == [0, 0, 0]
    sampled = add_q_values(REAL, one_sided.assign(sampled_a=one_sided.neuron_a == 0), (6, 9))
    assert sampled.q_a.notna().tolist() == [True, False, False, False, False]


def test_excess_is_what_r_has_beyond_the_mean_best_rotated_neuron():
    real = table((0, 5, 0.9, 1, 1), (1, 6, 0.5, 1, 1))
    rotations = pd.concat(
        [
            table((0, 2, 0.4, 1, 0), (1, 3, 0.2, 1, 1), (1, 4, 0.1, 2, 2), draw=0, changed="b"),
            table((7, 5, 0.3, 1, 1), (8, 6, 0.1, 0, 1), draw=1, changed="a"),
            table((0, 2, 0.6, 1, 0), (1, 3, 0.4, 1, 1), draw=2, changed="b"),
        ],
        ignore_index=True,
    )
    found = add_excess(real, rotations, (9, 9))
    np.testing.assert_allclose(found.excess_a, [0.9 - 0.5, 0.5 - 0.3])
    np.testing.assert_allclose(found.excess_b, [0.9 - 0.3, 0.5 - 0.1])
    null = add_excess(rotations, rotations, (9, 9))  # a draw is compared with the others
    np.testing.assert_allclose(null.excess_a[[0, 1, 5, 6]], [0.4 - 0.6, 0.2 - 0.4, 0.6 - 0.4, 0.4 - 0.2], atol=1e-12)
    assert null.excess_a[[3, 4]].isna().all(), "a rotated neuron has nothing to be compared with"
    other = add_excess(rotations.assign(changed="both"), rotations, (9, 9))
    assert other[["excess_a", "excess_b"]].isna().all(axis=None)


def test_nothing_competes_for_marked_neurons():
    """What is marked neither stands in a list nor pushes others into it."""
    every = add_q_values(REAL, DECOYS, (6, 9))
    found = add_q_values(REAL.assign(mark_a=["massive", *["none"] * 4]), DECOYS, (6, 9))
    assert every.q_a[0] == 0.5
    assert found.q_a.isna().tolist() == [True, False, False, True, True]
    assert found.local_fdr_a.isna().tolist() == found.q_a.isna().tolist()
    other = add_q_values(REAL.assign(mark_b="start"), DECOYS, (6, 9))
    pd.testing.assert_series_equal(other.q_a, every.q_a)


def test_local_fdr_by_hand():
    """In order of the excess D R R R R D R D D R, D the one more: shares of decoys are 1/5, then 1/2, then 2/3."""
    winner = np.array([0, 0, 0, 0, 1, 0, 2, 3, 0, -1, -1])
    excess = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 10, np.nan])
    found = Competition(winner, excess, draws=4).local_fdr()
    first, then, last = (odds / 4 for odds in (1 / 4, 1, 2))
    np.testing.assert_allclose(found, [first] * 4 + [1, then, 1, 1, last, 1, np.nan])


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(-1, 4)), min_size=1, max_size=25))
def test_local_fdr_never_rises_with_the_excess(entries):
    excess, winner = (np.array(x) for x in zip(*entries, strict=True))
    found = Competition(winner, excess.astype(float), draws=4).local_fdr()
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[winner != 0] == 1).all()
    real = np.flatnonzero(winner == 0)[np.argsort(excess[winner == 0], kind="stable")]
    assert (np.diff(found[real][::-1]) >= -1e-12).all()


def test_local_fdr_is_the_share_of_false_ones():
    """A third of the real partners is shared, and stronger; the others are like decoys."""
    rng, promised, false = np.random.default_rng(0), [], []
    for _ in range(30):
        shared = rng.random(2000) < 1 / 3
        strength = rng.normal(size=(9, 2000))
        strength[0] += 2.5 * shared
        winner = strength.argmax(0)
        excess = strength.max(0) - (strength.sum(0) - strength.max(0)) / 8
        real = winner == 0
        promised += Competition(winner, excess, 8).local_fdr()[real].tolist()
        false += (~shared)[real].tolist()
    # a shared one that is weak may win by its own chance, so it is less often false than is promised, never more often
    bins = pd.cut(promised, [0, 0.02, 0.05, 0.1, 0.2, 0.4, 1])
    table = pd.DataFrame({"promised": promised, "false": false}).groupby(bins, observed=True).mean()
    assert (table.false <= table.promised + 0.02).all()
    assert (table.false >= 0.6 * table.promised - 0.01).all()
    assert len(table) >= 4
