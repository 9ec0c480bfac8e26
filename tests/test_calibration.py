"""Calibration: by hand, and on simulated networks in which the shared neurons are known."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import MemorySource
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta_scaling.matching.correlation import match_tile
from rosetta_scaling.matching.neighbours import partner_table
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.nulls.calibration import add_excess, add_q_values, competition, q_values, threshold
from rosetta_scaling.nulls.transforms import Rotated
from rosetta_scaling.schemas.nulls import decoys

# -- simulated networks -----------------------------------------------------------------------------------------------

NEURONS, LATENTS, UNITS, SHARED = 256, 40, 2048, 50
SHAPES = {"linear": lambda x: x, "rectified": lambda x: x.relu(), "sparse": lambda x: (x - 1).relu()}


def simulate(seed: int, shape: str, shared: int, noise: float = 0.5):
    """Two networks and two untrained ones that read the same latents; `shared` neurons of the first two correspond.

    All other neurons are random directions of the same subspace, with the same nonlinearity.
    """
    random = torch.Generator().manual_seed(seed)
    latents = torch.randn(LATENTS, UNITS, generator=random)

    def network(common: torch.Tensor) -> tuple[MemorySource, torch.Tensor]:
        weights, place = torch.randn(NEURONS, LATENTS, generator=random), torch.randperm(NEURONS, generator=random)
        place = place[: len(common)]
        weights[place] = common
        x = SHAPES[shape](weights @ latents / LATENTS**0.5)
        x += noise * x.std(1, keepdim=True) * torch.randn(NEURONS, UNITS, generator=random)
        source = MemorySource(x, chunk=512)
        source.widths = [NEURONS // 2] * 2
        return source, place

    common = torch.randn(shared, LATENTS, generator=random)
    (a, place_a), (b, place_b) = network(common), network(common)
    untrained = [(network(common[:0])[0], network(common[:0])[0]) for _ in range(2)]
    return a, b, untrained, dict(zip(place_a.tolist(), place_b.tolist(), strict=True))


def partners(a, b) -> pd.DataFrame:
    return partner_table(*match_tile(a, b, Tile(0, NEURONS, 0, NEURONS), 3), 2)


def calibrated(seed: int, shape: str, shared: int) -> tuple[pd.DataFrame, dict, dict]:
    a, b, untrained, truth = simulate(seed, shape, shared)
    nulls = {"rotate": [], "rotate_raw": [], "untrained": []}
    for draw in range(4):
        for kind in ("rotate", "rotate_raw"):
            pair, side = [a, b], "b" if draw % 2 == 0 else "a"
            pair["ab".index(side)] = Rotated(pair["ab".index(side)], [seed, draw], standardise=kind == "rotate")
            nulls[kind].append(partners(*pair).assign(draw=draw, changed=side))
    nulls["untrained"] = [partners(*pair).assign(draw=i, changed="both") for i, pair in enumerate(untrained)]
    nulls = {kind: pd.concat(tables, ignore_index=True) for kind, tables in nulls.items()}
    return add_q_values(partners(a, b), nulls, (NEURONS, NEURONS)), nulls, truth


def false_share(table: pd.DataFrame, truth: dict, level: float, side: str) -> tuple[float, int]:
    """Share of false ones among the matches that are kept, and how many are true."""
    kept = table[table[f"q_{side}"] <= level]
    true = sum(truth.get(i) == j for i, j in zip(kept.neuron_a, kept.neuron_b, strict=True))
    return 1 - true / len(kept) if len(kept) else 0.0, true


@pytest.mark.parametrize("shape", SHAPES)
def test_the_false_discovery_rate_covers_the_true_one(shape):
    """Over 16 simulated pairs the mean share of false matches stays below the level, with room for the error."""
    shares, found = {0.05: [], 0.2: []}, []
    for seed in range(8):
        table, _, truth = calibrated(seed, shape, SHARED)
        for level, values in shares.items():
            for side in "ab":
                share, true = false_share(table, truth, level, side)
                values.append(share)
                found.append(true / SHARED)
    for level, values in shares.items():
        assert np.mean(values) <= level + 2 * np.std(values) / np.sqrt(len(values))
    assert np.mean(found) > 0.9, "shared neurons are found"


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_found_where_nothing_is_shared(shape):
    kept = [calibrated(seed, shape, 0)[0].pipe(lambda t: (t.q_a <= 0.05).sum()) for seed in range(5)]
    assert np.mean(kept) <= 1
    assert len(partners(*simulate(0, shape, 0)[:2]).query("rank_a == 1 and rank_b == 1")) > NEURONS / 5


def test_where_only_the_subspace_is_shared_a_rotated_neuron_wins_as_often_as_a_real_one():
    wins = np.zeros(2)
    for seed in range(6):
        table, nulls, _ = calibrated(seed, "linear", 0)
        winner, _ = competition(table, nulls["rotate"], NEURONS, "a")
        wins += (winner == 1).sum(), (winner == -1).sum()
    assert wins[1] / wins[0] == pytest.approx(2, rel=0.2)  # two draws have rotated B


def test_rotated_neurons_alone_do_not_cover_sparse_ones():
    """Why there is more than one kind of decoys: alike but unrelated shapes win against rotated ones."""
    table, nulls, truth = calibrated(0, "sparse", 0)
    winner, r = competition(table, nulls["rotate"], NEURONS, "a")
    assert (q_values(r, winner, 0.5) <= 0.05).sum() > NEURONS / 8
    assert (table.q_a <= 0.05).sum() == 0
    assert not truth


# -- by hand ----------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
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
    return pd.DataFrame(rows, columns=names).assign(**columns)


def test_competition_takes_the_strongest_and_asks_it_to_be_mutual():
    real = table((0, 5, 0.9, 1, 1), (1, 6, 0.5, 1, 1), (2, 7, 0.4, 1, 1), (3, 7, 0.3, 1, 0), (4, 8, 0.2, 1, 1))
    decoys = pd.concat(
        [
            table((0, 0, 0.8, 1, 1), (1, 1, 0.6, 1, 1), (2, 2, 0.7, 1, 0), (3, 3, 0.1, 1, 1), draw=0, changed="b"),
            table((0, 0, 0.1, 1, 1), (1, 1, 0.1, 1, 1), (2, 2, 0.1, 1, 1), (3, 3, 0.1, 1, 1), draw=2, changed="b"),
            table((0, 0, 1.0, 1, 1), (1, 1, 1.0, 1, 1), draw=1, changed="a"),  # not a competition for A
        ]
    )
    winner, r = competition(real, decoys, 6, "a")
    assert winner.tolist() == [1, -1, 0, 0, 0, 0]  # 2: a decoy that is not mutual; 3: nor the real one; 4, 5: unseen
    np.testing.assert_allclose(r, [0.9, 0.6, 0.7, 0.3, np.nan, np.nan])


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


def test_a_separate_search_counts_decoys_of_all_draws_and_of_a_sample():
    real = table(*((i, i, 0.9 - 0.01 * i, 1, 1) for i in range(40)))
    none = table((0, 0, -1.0, 1, 0), draw=0, changed="b")
    none = pd.concat([none.assign(neuron_a=i, neuron_b=i) for i in range(40)])
    both = pd.concat([none, none.assign(draw=1, changed="a")])
    quiet = dict.fromkeys(decoys(), both)
    assert (add_q_values(real, quiet, (40, 40)).q_a == 1 / 40).all()
    untrained = table((0, 0, 0.55, 1, 1), (1, 1, 0.7, 1, 0), draw=0, changed="both")
    found = add_q_values(real, quiet | {"untrained": untrained}, (40, 40))
    # One false match at 0.55: below it the rate is 2 / n, above it 1 / n; at the foot 2 / 40.
    assert threshold(found, 0.0499) == np.inf or threshold(found, 0.0499) > 0.55
    assert found.q_a.iloc[-1] == pytest.approx(2 / 40)
    sampled = untrained.assign(sampled_a=True, sampled_b=True)  # 2 of 40 neurons were looked at
    found = add_q_values(real, quiet | {"untrained": sampled}, (40, 40))
    assert found.q_a.iloc[-1] == pytest.approx(min(1, 2 * 20 / 40))
