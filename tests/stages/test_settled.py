"""A study with fewer draws of its nulls."""

import pandas as pd
import pytest

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.nulls import Nulls
from rosetta_scaling.config.parsing import load
from rosetta_scaling.points.point import PartnerTables
from rosetta_scaling.report.claims import settled_words
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS
from rosetta_scaling.stages.point_tables import first_draws
from rosetta_scaling.stages.settled import fewer_draws, with_draws


@pytest.mark.parametrize(("draws", "fewer"), [(16, [2, 4, 8]), (12, [2, 6]), (4, [2]), (3, []), (2, [])])
def test_draws_are_halved_as_long_as_both_networks_keep_one(draws, fewer):
    assert fewer_draws(draws) == fewer


def test_every_null_keeps_as_large_a_share_of_its_draws_but_never_gains_any():
    nulls = Nulls(rotate_pre_draws=16, rotate_draws=8, shift_draws=1, untrained_draws=5)
    smoke = load(WORKFLOW / "studies/smoke.yaml")
    fewer = with_draws(smoke.model_copy(update={"nulls": nulls}), 4).nulls
    found = {null: fewer.draws(null) for null in NULLS}
    assert found[CENTRAL] == 4
    assert (found["rotate"], found["shift"], found["untrained"], found["gaussian"]) == (2, 1, 2, 2)


def test_the_first_draws_of_a_table_are_those_of_a_smaller_study():
    table = pd.DataFrame({"draw": [0, 0, 1, 2, 3], "neuron_a": range(5)})
    null = first_draws(PartnerTables({"other": table}, {("other", "third"): table}), 2)
    assert [part.neuron_a.tolist() for part in null.all()] == [[0, 1, 2], [0, 1, 2]]


def test_a_claim_says_down_to_which_number_of_draws_its_verdict_is_the_same():
    rows = [("sure", 2, "supported"), ("sure", 4, "supported"), ("sure", 8, "supported")]
    rows += [("late", 2, "supported"), ("late", 4, "inconclusive"), ("late", 8, "supported")]
    assert settled_words(pd.DataFrame(rows, columns=["claim", "draws", "verdict"])) == {
        "sure": "The verdict is the same with 2 to 8 draws of the nulls.",
        "late": "With 4 draws of the nulls in place of 8 it would be: inconclusive.",
    }


def test_nothing_is_said_where_no_smaller_number_of_draws_was_tried():
    assert settled_words(pd.DataFrame({"claim": ["only"], "draws": 2, "verdict": "supported"}, index=[0])) == {}
