"""Random settings, corpora, counts and texts: each is taken, or refused with one sentence.

A run takes about a minute. With more examples of every kind:

    FUZZ_EXAMPLES=1000 FUZZ_DRY_RUNS=100 .venv/bin/python -m pytest tests/test_fuzz.py --timeout 0
"""

import os

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from settings_strategies import ANYTHING, PLACES, SECTIONS, SMOKE, at, changed, studies, wrong_values

from rosetta_scaling import config, plan_table, resources
from rosetta_scaling.layout import Layout
from rosetta_scaling.store import StudyError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
DRY_RUNS = int(os.environ.get("FUZZ_DRY_RUNS", "3"))
KEYS = {step for path in PLACES for step in path if isinstance(step, str)}


def fuzz(examples: int = EXAMPLES) -> settings:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    return settings(max_examples=examples, deadline=None, suppress_health_check=slow, print_blob=True)


def sentence_of(error: pytest.ExceptionInfo | StudyError) -> str:
    """What a user is told: one line, not empty."""
    sentence = str(error.value if isinstance(error, pytest.ExceptionInfo) else error)
    assert sentence.strip(), "an error without a word"
    assert len(sentence.splitlines()) == 1, sentence
    return sentence


# -- settings --------------------------------------------------------------------------------------------------------


def everything_planned(layout: Layout) -> str:
    """All that the workflow asks of a study before a job runs, as text."""
    study = layout.study
    study.deciding()
    texts = [plan_table.plan_table(layout, 1e10), resources.requests_text(layout), str(resources.is_quick(layout))]
    needs = [resources.texts(layout), resources.auditing(layout)]
    needs += [need(layout, model) for model in layout.models for need in (resources.copying, resources.sketching)]
    for pair in layout.pairs:
        needs += [need(layout, pair) for need in (resources.tiling, resources.proposing)]
    needs += [resources.rescoring(layout, group) for group in layout.groups]
    for need in needs:
        asked = [ask(need)(None, attempt=3) for ask in (resources.memory, resources.runtime)]
        assert all(isinstance(number, int) and number > 0 for number in asked)
    if layout.plan.engine == "sketch":
        for group in layout.groups.values():
            sizes = {model: layout.size(model).neurons for pair in group for model in layout.pairs[pair]}
            layout.plan.rescoring_chunk(sizes)
    return "\n".join(texts)


@fuzz()
@given(studies())
def test_a_study_of_legal_settings_is_planned_or_refused_with_a_sentence(values):
    try:
        layout = Layout(config.parse(values), corpus_key="k")
        planned = everything_planned(layout)
    except StudyError as error:
        sentence = sentence_of(error)
        assert any(key in sentence for key in KEYS), sentence
        event("refused: " + " ".join(sentence.split()[:2]))
    else:
        assert all(model in planned for model in layout.models)
        event("planned")


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
    assert repr(key).strip("'\"") in sentence_of(error)


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
