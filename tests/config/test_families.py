"""Families that go on from others: what is refused, what is made, and what their cache keys name."""

import copy

import pytest
import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config import parsing as config
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.store.errors import StudyError

CONTINUED = {"source": "continued", "of": "neox", "domain": "scripture", "tokens": 5_000, "seed": 9}


@pytest.fixture
def values() -> dict:
    """The smoke study, whose family neox goes on with one domain."""
    values = yaml.safe_load((WORKFLOW / "studies/smoke.yaml").read_text())
    values["families"]["further"] = dict(CONTINUED)
    return values


def layout_of(values: dict) -> Layout:
    return Layout(config.parse(values), corpus_key="k")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"of": None}, "families.further: a family with source 'continued' needs the key 'of'"),
        ({"tokens": None}, "families.further: a family with source 'continued' needs the key 'tokens'"),
        ({"tokens": 0}, "'families.further.tokens' is 0; input should be greater than or equal to 1"),
        ({"learning_rate": 0}, "'families.further.learning_rate' is 0; input should be greater than 0"),
        ({"of": "gpt"}, "families.further.of is 'gpt'; expected one of ['neox', 'bloom', 'llama']"),
        ({"of": "mine"}, "families.further.of is 'mine'; expected one of ['neox', 'bloom', 'llama']"),
        ({"of": "further"}, "families.further.of is 'further'; expected one of ['neox', 'bloom', 'llama']"),
        ({"of": "bloom"}, "families.further goes on from bloom, which is the first family of no curve"),
        ({"rungs": ["r3"]}, "which is the first family of no curve at its rungs ['r3']"),
        ({"domain": "poems"}, "families.further.domain is 'poems', but the corpus has the domains ['docs', "),
        ({"seed": 1}, "families.further.seed is 1, that of neox: its networks would read the same windows"),
        ({"modality": "image"}, "networks that see are not trained further"),
    ],
)
def test_what_no_network_can_go_on_from_is_one_sentence(values, changed, sentence):
    for name in ("bloom", "llama"):
        values["families"][name]["rungs"] = ["r1", "r2"]  # neox is compared at two sizes, and trained at three
    config.parse(values)
    values["families"]["mine"] = {"source": "local", "models": {"r1": "x"}}
    values["families"]["further"] |= changed
    with pytest.raises(StudyError) as error:
        config.parse(values)
    assert sentence in str(error.value)


def test_a_network_that_is_trained_further_is_no_original_of_an_untrained_one(values):
    values["families"]["fresh"] = {"source": "untrained", "of": "further"}
    with pytest.raises(StudyError, match=r"families\.fresh\.of is 'further'"):
        config.parse(values)


@pytest.mark.parametrize("members", [["neox", "further"], ["llama", "neox", "further"], ["further", "again"]])
def test_a_curve_compares_no_network_with_what_became_of_it(values, members):
    values["families"]["again"] = CONTINUED | {"seed": 10}
    values["curves"]["related"] = members
    with pytest.raises(
        StudyError, match=r"curves\.related names .*'further'.*a start in common.*trained independently"
    ):
        config.parse(values)


def test_a_network_that_is_trained_further_is_matched_with_its_origin_alone(values):
    without = copy.deepcopy(values)
    del without["families"]["further"]
    layout, plain = layout_of(values), layout_of(without)
    assert layout.continued == {f"further-r{i}": f"neox-r{i}" for i in (1, 2, 3)}
    assert layout.pairs.keys() - plain.pairs.keys() == {f"neox-r{i}--further-r{i}" for i in (1, 2, 3)}
    assert layout.points == plain.points, "what is counted, fitted and judged is the same"
    assert layout.tokenizer_keys == plain.tokenizer_keys
    assert layout.tokenizer_file("further-r1") == plain.tokenizer_file("neox-r1")
    assert layout.tokens("study", "further-r1") == plain.tokens("study", "neox-r1")
    values["families"]["further"]["rungs"] = ["r2"]
    assert list(layout_of(values).continued) == ["further-r2"]


def test_it_may_be_compared_with_networks_of_others(values):
    values["curves"]["further-llama"] = ["further", "llama"]
    layout = layout_of(values)
    assert layout.points["further-llama", "r1"] == ["further-r1", "llama-r1"]
    assert "further-r1" in layout.continued


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (("families", "neox", "seed"), 7),
        (("families", "neox", "vocabulary"), 330),
        (("ladder", "tokens"), 31_000),
        (("ladder", "rungs", "r1", "learning_rate"), 2e-2),
        (("families", "further", "domain"), "docs"),
        (("families", "further", "domain"), None),
        (("families", "further", "tokens"), 6_000),
        (("families", "further", "learning_rate"), 0.25),
        (("families", "further", "seed"), 10),
    ],
)
def test_its_key_names_its_origin_and_its_own_training(values, path, new):
    before, origin = layout_of(values).checkpoint("further-r1"), layout_of(values).checkpoint("neox-r1")
    section = values
    for step in path[:-1]:
        section = section[step]
    section[path[-1]] = new
    after = layout_of(values)
    assert after.checkpoint("further-r1") != before
    assert (after.checkpoint("neox-r1") == origin) == ("further" in path), "the origin does not know what becomes of it"


def test_its_key_does_not_name_other_families(values):
    before = layout_of(values).checkpoint("further-r1")
    values["families"]["llama"]["seed"] = 8
    values["ladder"]["rungs"]["r2"]["layers"] = 3
    assert layout_of(values).checkpoint("further-r1") == before


def test_further_training_has_its_own_tokens_where_the_ladder_trains_in_proportion_to_size():
    ladder = config.load("config.yaml").ladder.model_copy(update={"tokens_per_parameter": 20.0})
    assert ladder.tokens_of(10**6) == 20 * 10**6
    assert ladder.of_tokens(500).tokens_of(10**6) == 500
