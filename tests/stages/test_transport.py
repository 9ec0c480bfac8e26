"""Which pairs are matched one to one, and what is said of the others."""

import pandas as pd
import pytest
import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.parsing import parse
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.needs import matching
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.planning.transport import transporting
from rosetta_scaling.stages.transport import transport_inputs, transport_pair_inputs, write_transport
from rosetta_scaling.store.tables import read_table, write_table

PAIR = "neox-r2--bloom-r2"


@pytest.fixture
def plan(tmp_path, monkeypatch) -> StudyPlan:
    """Three networks of two sizes, of 1,728 and 6,912 neurons; working in an empty folder."""
    values = yaml.safe_load((WORKFLOW / "studies/ladder-large.yaml").read_text())
    values["ladder"]["rungs"] = {name: values["ladder"]["rungs"][name] for name in ("r2", "r4")}
    values["curves"] = {"all": ["neox", "bloom", "llama"], "two": ["neox", "bloom"]}
    values["matching"]["transport_min_r"] = 0.4
    monkeypatch.chdir(tmp_path)
    return StudyPlan(Layout(parse(values), "corpus"))


def test_pairs_with_a_large_network_are_left_out_with_a_sentence(plan):
    layout = plan.layout
    files = transport_inputs(plan)["pairs"]
    assert files == [layout.transported(pair) for pair in (PAIR, "neox-r2--llama-r2", "bloom-r2--llama-r2")]
    found = pd.DataFrame({"neuron_a": [3, 4], "neuron_b": [5, 6], "r": [0.5, 0.6], "transported": [True, True]})
    for path in files:
        write_table(path, found.assign(mutual=[True, False], variant="real"))
    write_transport(plan, "transport.csv")
    table = read_table("transport.csv").set_index(["model_a", "model_b"])
    assert table.index.is_unique, "a pair of two curves has one row"
    assert len(table) == 6
    small, large = table.loc["neox-r2", "bloom-r2"], table.loc["neox-r4", "bloom-r4"]
    assert [small[name] for name in ("point", "neurons_a", "min_r", "transported", "both")] == ["r2", 1728, 0.4, 2, 1]
    assert small.null_rotate_pre == 0
    assert pd.isna(small.note)
    assert pd.isna(large.transported)
    assert large.note == "6,912 neurons; at most 4,096 are matched one to one"


def test_a_pair_declares_what_its_draws_are_read_from(plan):
    declared = transport_pair_inputs(plan, PAIR)
    assert declared["tiles"] == []
    layout = plan.layout
    manifests = {layout.checkpoint_manifest(model) for model in layout.pairs[PAIR]}
    assert manifests <= set(declared["sources"]), "every draw reads one of the networks again"


def test_the_whole_matrix_is_asked_for_beside_what_matching_takes(plan):
    need, other = transporting(plan, PAIR), matching(plan, PAIR)
    assert need.memory_mb - other.memory_mb > 20 * 1728**2 / 1e6
    assert need.minutes > other.minutes


def test_nothing_is_planned_where_it_is_not_asked_for(plan):
    study = plan.study.model_copy(update={"matching": plan.study.matching.model_copy(update={"transport_min_r": None})})
    assert plan.layout.transport_tables == ["results/ladder-large/tables/transport.csv"]
    assert Layout(study, "corpus").transport_tables == []
