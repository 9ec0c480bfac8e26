"""What becomes of neurons under further training, on made tables whose truth is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.points.continued import Continuation, fate_rows, fates, strongest_null
from rosetta_scaling.schemas.tables.continued import CONTINUED
from rosetta_scaling.selectivity.polarization.tables import PointModel, neuron_set

FIRST = Criterion.model_validate({})
NEURONS = 600
ROSETTA = np.arange(NEURONS) % 2 == 0  # half of every layer


def partners(a, b, draw=0) -> pd.DataFrame:
    """Mutual best partners."""
    return pd.DataFrame({"neuron_a": a, "neuron_b": b, "r": 0.9, "rank_a": 1, "rank_b": 1, "draw": draw})


def neurons(seed: int, firing) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(NEURONS, 3)), columns=["mean", "variance", "fraction_active"])
    return table.assign(layer=np.arange(NEURONS) // 200, firing_code=firing)


def continuation(stays: np.ndarray, rises: np.ndarray, domain: str | None = "code") -> Continuation:
    """Neurons that stay match themselves, all others the one before them."""
    own = np.arange(NEURONS)
    anchor = PointModel("c", "r1", "a-r1", True, neurons(0, 1.0), {"set": own[ROSETTA]})
    nulls = {
        "rotate": pd.concat([partners(own[:30], own[:30]), partners(own, np.roll(own, 1), draw=1)]),
        "untrained": partners(own[:10], own[:10]),
    }
    matches = partners(own, np.where(stays, own, np.roll(own, 1)))
    return Continuation(anchor, neurons(0, np.where(rises, 2.0, 0.5)), matches, nulls, domain)


def rows(one: Continuation) -> pd.DataFrame:
    made = neuron_set(one.anchor, "set", 50, np.random.default_rng(0))
    about = {"curve": "c", "point": "r1", "anchor": "a-r1", "model": "b-r1", "text": "code"}
    about |= {"bits_before": 2.0, "bits_after": 1.0}
    table = pd.DataFrame([about | row for row in fate_rows(one, made, FIRST, 0.95)], columns=CONTINUED.names)
    CONTINUED.check(table)
    return table.set_index("fate")


def test_a_neuron_stays_where_it_matches_itself():
    own = np.arange(NEURONS)
    one = continuation(own % 3 == 0, own % 4 == 0)
    found = fates(one, FIRST)
    assert np.flatnonzero(found.stays).tolist() == own[::3].tolist()
    assert found.matched.all(), "who stays or moves is matched"
    assert np.flatnonzero(found.rises).tolist() == own[::4].tolist()
    assert (found.rises + found.falls == 1).all()
    weak = replace(one, matches=one.matches.assign(r=np.where(own < 30, 0.9, 0.1)))
    assert fates(weak, Criterion(min_r=0.5)).stays.sum() == 10


def test_a_neuron_without_contexts_neither_rises_nor_falls():
    one = continuation(np.ones(NEURONS, bool), np.ones(NEURONS, bool))
    after = one.after.assign(firing_code=one.after.firing_code.where(np.arange(NEURONS) >= 5))
    found = fates(replace(one, after=after), FIRST)
    assert found.rises.isna().sum() == found.falls.isna().sum() == 5
    assert rows(replace(one, after=after)).rosetta[["stays", "rises"]].tolist() == [300, 297]


def test_all_text_is_no_domain():
    one = continuation(np.ones(NEURONS, bool), np.ones(NEURONS, bool), domain=None)
    assert list(fates(one, FIRST)) == ["stays", "matched"]


@pytest.mark.parametrize(("of_rosetta", "of_others"), [(0.8, 0.5), (0.5, 0.5), (1.0, 1.0)])
def test_the_difference_holds_the_planted_one(of_rosetta, of_others):
    rng = np.random.default_rng(1)
    chance = np.where(ROSETTA, of_rosetta, of_others)
    found = rows(continuation(rng.random(NEURONS) < chance, rng.random(NEURONS) < chance))
    for fate in ("stays", "rises"):
        row = found.loc[fate]
        assert row.low <= of_rosetta <= row.high
        assert row.difference_low < of_rosetta - of_others < row.difference_high
        assert (row.difference_low > 0) == (of_rosetta > of_others)
        assert row.balanced
        assert row.placebo_low <= row.share_others <= row.placebo_high
    assert found.difference["stays"] == pytest.approx(found.share["stays"] - found.share_others["stays"], abs=0.1)


def test_others_are_weighted_to_be_alike():
    """Neurons of high variance stay, and more of the Rosetta neurons have it: alike, the others stay as often."""
    one = continuation(np.zeros(NEURONS, bool), np.zeros(NEURONS, bool))
    variance = one.anchor.neurons.variance + ROSETTA
    anchor = replace(one.anchor, neurons=one.anchor.neurons.assign(variance=variance))
    own = np.arange(NEURONS)
    found = rows(replace(one, anchor=anchor, matches=partners(own, np.where(variance > 0.5, own, np.roll(own, 1)))))
    row = found.loc["stays"]
    assert row.share - row.share_others > 0.25
    assert row.difference_low < 0 < row.difference_high


def test_the_null_is_the_strongest_one_and_counts_draws_and_samples():
    one = continuation(np.ones(NEURONS, bool), np.ones(NEURONS, bool))
    assert strongest_null(one, FIRST, ROSETTA, "stays") == pytest.approx(15 / 300 / 2), "mean of two draws of rotate"
    assert strongest_null(one, FIRST, ROSETTA, "matched") == pytest.approx((15 + 300) / 300 / 2)
    half = replace(one, scale=2.0)
    assert strongest_null(half, FIRST, ROSETTA, "stays") == pytest.approx(15 / 300)
    found = rows(one)
    assert found.null["stays"] == pytest.approx(15 / 300 / 2)
    assert found.null[["rises", "falls"]].isna().all()
