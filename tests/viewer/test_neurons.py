"""The table of the viewer: what it says of neurons and their partners."""

import numpy as np
import pandas as pd
from made_viewer import selectivity_table, write_small

from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.selectivity import KINDS
from rosetta_scaling.schemas.tables.viewer import VIEWED, meaning_of
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.viewer.neurons import PairEvidence, kind_words, neuron_table, pair_columns


def pairs(*rows: tuple, **more) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["neuron_a", "neuron_b", "r", "rank_a", "rank_b"])
    return table.assign(margin_a=0.1, excess_a=0.2, **more)


def the_pair() -> PairEvidence:
    """Neuron 0 has the mutual partner 5; 1 has 5, which prefers 0; 2 has none."""
    matches = pairs((0, 5, 0.9, 1, 1), (0, 6, 0.3, 2, 1), (1, 5, 0.4, 1, 2), q_a=[0.01, np.nan, np.nan])
    draws = pairs((0, 1, 0.2, 1, 1), (0, 1, 0.4, 1, 1), (1, 2, 0.6, 1, 1), (0, 3, 0.99, 1, 1))
    nulls = {name: draws.assign(draw=[0, 1, 1, 2], changed=["b", "b", "b", "a"]) for name in NULLS}
    nulls["shift"] = nulls["shift"].assign(changed="a")
    half = pairs((0, 5, 0.8, 1, 1), (0, 5, 0.7, 2, 1), (1, 6, 0.5, 1, 1)).assign(
        draw=[0, 1, 0], heldout_r=[0.6, 0.8, 0.4]
    )
    return PairEvidence(matches, nulls, half)


def test_a_partner_stands_with_its_nulls_and_what_is_found_again():
    found = pair_columns(the_pair(), 3)
    assert found.partner.tolist() == [5, 5, -1]
    assert found.mutual.tolist() == [True, False, False]
    np.testing.assert_array_equal(found.q, [0.01, np.nan, np.nan])
    # Draws in which this network was changed say nothing of its neurons.
    np.testing.assert_allclose(found.rotate_pre, [0.3, 0.6, np.nan])
    np.testing.assert_allclose(found.rotate_pre_largest, [0.4, 0.6, np.nan])
    assert found["shift"].isna().all()
    np.testing.assert_allclose(found.null, [0.3, 0.6, np.nan])
    assert found.refound.tolist() == [1, 0, 0]
    np.testing.assert_allclose(found.heldout_r, [0.7, np.nan, np.nan])


def test_a_match_needs_a_mutual_partner_and_a_small_q():
    neurons = selectivity_table(np.ones(3), np.ones(3), 1, np.random.default_rng(0))
    weak = the_pair()
    weak.matches.loc[0, "q_a"] = 0.06
    rosetta = pd.DataFrame({"neuron": [0, 1, 2], "mutual_top1": [True, False, True], "r_b-r1": 0.1})
    table = neuron_table(neurons, {"b-r1": the_pair(), "c-r1": weak}, {"b-c": rosetta}, pd.Series({2: "of two"}))
    VIEWED.check(table)
    assert table.mutual.tolist() == [2, 0, 0]
    assert table.matched.tolist() == [1, 0, 0]
    assert table["rosetta.b-c.mutual_top1"].tolist() == [True, False, True]
    assert table.label.tolist()[2] == "of two"


def test_kinds_are_told_in_words():
    neurons = pd.DataFrame({name: [0.0, float(name in ("unigram", "previous_token")), np.nan] for name in KINDS})
    assert kind_words(neurons).tolist() == ["", "unigram, previous token", ""]


def test_every_column_has_a_meaning_of_its_own():
    assert meaning_of("rotate_largest.a-b").startswith("largest")
    assert meaning_of("rotate.a-b").startswith("mean")
    assert "before it is applied" in meaning_of("rotate_pre.a-b")


def test_the_page_has_its_tables_beside_it(tmp_path):
    first, second = write_small(tmp_path / "viewer")
    for network in (first, second):
        stored = read_table(tmp_path / f"viewer/data/{network.key}/neurons.parquet")
        pd.testing.assert_frame_equal(stored, network.table, check_dtype=False)
    # What was planted: 15 of the second network's 16 neurons, in reversed order; the last of the first is constant.
    assert first.table.matched.sum() == second.table.matched.sum() == 15
    partner = first.table["partner.blue-r1"][first.table.matched == 1]
    assert partner.tolist() == list(range(15, 0, -1))
