"""Random settings: a study of them is planned, or refused with one sentence. See fuzzing.py for more examples."""

import pytest
import yaml
from fuzzing import DRY_RUNS, fuzz, sentence_of
from hypothesis import assume, event, given, reject
from hypothesis import strategies as st
from settings_strategies import ANYTHING, PLACES, SECTIONS, SMOKE, at, changed, studies, wrong_values
from study_runs import checkout, snakemake

from rosetta_scaling.config import parsing as config
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning import needs
from rosetta_scaling.planning.rates import H100
from rosetta_scaling.planning.requests import requests_text
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.planning.tables import plan_table
from rosetta_scaling.stages.networks import check_models, check_paths
from rosetta_scaling.store.errors import StudyError

pytestmark = pytest.mark.study(1)

MOST_TILES = 100  # of a study that is scheduled: with every draw of the nulls more of them only take longer
KEYS = {step for path in PLACES for step in path if isinstance(step, str)}


# -- settings --------------------------------------------------------------------------------------------------------


def planned_study(values: dict) -> StudyPlan:
    """What the rules know of a study; as they do, it refuses paths and networks that cannot be used."""
    layout = Layout(config.parse(values), corpus_key="k")
    check_paths(layout)
    check_models(layout)
    return StudyPlan(layout)


def everything_planned(plan: StudyPlan) -> str:
    """All that the workflow asks of a study before a job runs, as text."""
    layout = plan.layout
    plan.study.deciding()
    texts = [plan_table(plan, H100, H100), requests_text(plan), str(needs.is_quick(plan))]
    asked = [needs.texts(plan), *(needs.auditing(plan, rung) for rung in layout.pairs_of_rungs)]
    asked += [need(plan, model) for model in layout.models for need in (needs.copying, needs.sketching)]
    for pair in layout.pairs:
        asked += [need(plan, pair) for need in (needs.tiling, needs.proposing)]
    asked += [needs.rescoring(plan, group) for group in layout.groups]
    for need in asked:
        numbers = [ask(need)(None, attempt=3) for ask in (needs.memory, needs.runtime)]
        assert all(isinstance(number, int) and number > 0 for number in numbers)
    if plan.matching.engine == "sketch":
        for group in layout.groups.values():
            plan.matching.rescoring_chunk(
                {model: plan.size(model).neurons for pair in group for model in layout.pairs[pair]}
            )
    return "\n".join(texts)


@fuzz()
@given(studies())
def test_a_study_of_legal_settings_is_planned_or_refused_with_a_sentence(values):
    try:
        plan = planned_study(values)
        planned = everything_planned(plan)
    except StudyError as error:
        sentence = sentence_of(error)
        assert any(key in sentence for key in KEYS), sentence
        event("refused: " + " ".join(sentence.split()[:2]))
    else:
        assert all(model in planned for model in plan.layout.models)
        event("planned")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("checkout"))


@fuzz(DRY_RUNS, shrink=False)
@given(studies())
def test_a_study_that_is_planned_is_scheduled_or_refused_with_a_sentence(folder, values):
    try:
        tiles = planned_study(values).matching.tiles
    except StudyError:
        reject()
    assume(sum(map(len, tiles.values())) < MOST_TILES)
    (folder / "study.yaml").write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
    found = snakemake(folder, "--dry-run", "--quiet", "all", "--configfile", "study.yaml")
    event(f"ended with {found.returncode}")
    if found.returncode:
        told = found.stdout + found.stderr
        assert "Traceback" not in told, told
        assert any(key in told for key in KEYS), told


@fuzz()
@given(wrong_values())
def test_a_wrong_value_is_refused_with_a_sentence_that_names_its_key(wrong):
    path, value = wrong
    with pytest.raises(StudyError) as error:
        config.parse(changed(SMOKE, path, value))
    named = [step for step in path if isinstance(step, str)][-1]
    assert named in sentence_of(error)


@fuzz()
@given(st.sampled_from(SECTIONS), st.text() | st.integers() | st.booleans() | st.none(), ANYTHING)
def test_an_unknown_key_is_refused_with_a_sentence_that_names_it(path, key, value):
    assume(key not in at(SMOKE, path))
    with pytest.raises(StudyError) as error:
        config.parse(changed(SMOKE, path, at(SMOKE, path) | {key: value}))
    sentence = sentence_of(error)
    assert str(key) in sentence or not str(key).isprintable()


YAML_TEXT = st.text("abc: -[]{}#&*!|>?'\"%@,\n\t0123456789.:", max_size=40)


@fuzz()
@given(
    st.binary(max_size=60)
    | st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))
    | YAML_TEXT.map(str.encode)
)
def test_any_file_is_a_study_or_refused_with_a_sentence(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "study.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyError) as error:
        config.load(path)
    sentence_of(error)
