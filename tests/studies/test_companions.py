"""The companion studies through the workflow: with a main study whose language models are a ladder of depths."""

import html
import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from small_companions import DEPTH, FILTERING, LOTTERY, MIXTURE
from study_runs import ROOT, checkout, one_sentence, run, small_study

from rosetta_scaling import WORKFLOW
from rosetta_scaling.companions.catalogue import TRAINED_APART, read_tables
from rosetta_scaling.companions.filtering.arms import ARMS
from rosetta_scaling.config import parsing as config
from rosetta_scaling.config.companions.section import Companions
from rosetta_scaling.config.section import Section
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import COMPANION_TITLES
from rosetta_scaling.stages.depth_ladder import depth_ladder, depth_pairs
from rosetta_scaling.store.tables import read_json, read_table

pytestmark = pytest.mark.study(4)

SETTINGS = Companions(
    studies=["lottery", "depth", "mixture", "filtering"],
    lottery=LOTTERY,
    depth=DEPTH,
    mixture=MIXTURE,
    filtering=FILTERING,
)
DEPTHS = {"r1": 3, "r2": 4, "r3": 5}


def with_companions(folder: Path, **changes) -> str:
    """A small study of language models of one width and three depths, and all companions."""
    values = SETTINGS.model_dump(mode="json")
    for name, settings in changes.items():
        values[name] |= settings
    size = {"hidden_size": 8, "heads": 2, "learning_rate": 1e-2}
    rungs = {name: size | {"layers": layers} for name, layers in DEPTHS.items()}
    return small_study(folder, rungs=3, companions=values, ladder={"tokens": 10_000, "rungs": rungs})


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = checkout(tmp_path_factory.mktemp("companions"))
    code, printed = run(folder, with_companions(folder), "companions")
    assert code == 0, printed
    return folder


def logs(folder: Path) -> dict[str, float]:
    """Every log of a companion, and when it was last written to."""
    names = ("companion_*/**/*.log", "filtering_*/**/*.log", "filtering_*.log")
    found = [path for name in names for path in (folder / "results/small/logs").glob(name)]
    return {str(path): path.stat().st_mtime for path in found}


def claims_of(folder: Path, name: str) -> list[dict]:
    files = sorted((folder / f"results/small/companions/{name}").rglob("claims.json"))
    return [claim for file in files for claim in read_json(file)["claims"]]


@pytest.mark.parametrize("name", COMPANION_TITLES)
def test_every_companion_has_tables_figures_claims_and_a_page(finished, name):
    results = finished / "results/small"
    tables = read_tables([results / f"companions/{name}/tables"])
    assert len(tables) >= 8
    assert all(map(len, tables.values()))
    page = html.unescape((results / f"report/{name}.html").read_text())
    figures = {path.stem for path in (results / f"companions/{name}/figures").glob("*.svg")}
    assert figures == {path.stem for path in (WORKFLOW / f"report/captions/{name}").glob("*.rst")} - {"runs"}
    for figure in figures:
        assert f'id="figure-{figure}"' in page
    claims = claims_of(finished, name)
    assert len(claims) >= (8 if name == "filtering" else 13)
    for claim in claims:
        assert claim["verdict"] in ("supported", "not supported", "inconclusive")
        assert all(claim[part] and claim[part] in page for part in ("claim", "sentence", "statistic", "caveat")), claim
    links = re.findall(r'href="([^"#][^"]*)"', page)
    assert links
    assert "index.html" in links
    for link in set(links) - {"index.html", "index.html#layers"}:  # the main study was not asked for
        assert (results / "report" / link).exists(), link
    for path in paths(getattr(SETTINGS, name)):
        assert f">{path}<" in page, f"the protocol does not show {path}"


def test_language_models_of_equal_width_are_a_ladder_of_depths(finished):
    folder = finished / "results/small/companions/depth"
    angles = {path.stem: read_table(path) for path in (folder / "angles").glob("*.parquet")}
    assert set(angles) == {f"{family}-{rung}" for family in ("neox", "bloom") for rung in DEPTHS}
    for model, table in angles.items():
        assert set(table.network) == {"trained", "untrained"}
        assert (table.groupby("network").size() == DEPTHS[model.split("-")[1]]).all()
    pairs = read_table(folder / "language/language_pairs.csv")
    assert pairs.kind.value_counts().to_dict() == {"real": 3, "untrained": 3}
    real = pairs[pairs.kind == "real"].set_index("layers")
    for rung, layers in DEPTHS.items():
        matches = read_table(finished / f"results/small/matches/neox-{rung}--bloom-{rung}/matches.parquet")
        mutual = matches[(matches.rank_a == 1) & (matches.rank_b == 1)]
        assert real.matches[layers] == len(mutual)
        assert real.share[layers] == pytest.approx((mutual.layer_a == mutual.layer_b).mean())
    losses = read_table(folder / "language/language_losses.csv")
    assert set(losses.family) == {"neox", "bloom"}
    assert (losses.points == 3).all()


def test_every_arm_chooses_and_networks_are_trained_on_it(finished):
    found = read_tables([finished / "results/small/companions/filtering/tables"])
    chosen, arms = found["chosen_neurons"], found["arms"].set_index("arm")
    assert (chosen.groupby(["curve", "rung"]).size() == 2).all()
    assert set(chosen.rung) == set(DEPTHS), "the neurons of every network are asked"
    possible = set(ARMS) - ({"other_neuron"} if chosen.neuron.isna().any() else set())
    assert set(arms.index[arms.f1.notna()]) >= possible
    assert arms.f1["oracle"] > 0.9 > arms.f1["random"]
    runs = found["runs"].groupby("arm").size()
    assert runs["oracle"] == runs["rosetta_neuron"] == runs["all_data"] == 2 * FILTERING.seeds
    assert found["runs"].target_bits.between(1, 9).all()


def test_a_second_run_does_nothing_and_a_rule_of_judging_trains_nothing(finished):
    before = logs(finished)
    code, printed = run(finished, "small", "companions")
    assert code == 0, printed
    assert logs(finished) == before
    with_companions(finished, lottery={"tolerance": 0.3}, filtering={"tolerance": 0.3})
    code, printed = run(finished, "small", "companions")
    assert code == 0, printed
    changed = {path for path, time in logs(finished).items() if before.get(path) != time}
    assert {"/".join(path.split("/logs/")[1:]) for path in changed} == {
        "companion_tables/lottery.log",
        "companion_report/lottery.log",
        "filtering_tables.log",
        "companion_report/filtering.log",
    }
    assert "within 0.3 of" in json.dumps(claims_of(finished, "lottery"))


def test_the_table_of_published_runs_is_asked_for_in_one_sentence(finished):
    with_companions(finished, depth={"chinchilla": "runs.csv"})
    code, printed = run(finished, "small", "companions")
    assert code != 0
    one_sentence(printed, "runs.csv: no such file; expected a .csv with a row per published run and the columns width")


def test_a_study_without_companions_says_so(finished):
    name = small_study(finished, study="none")
    code, printed = run(finished, name, "companions")
    assert code != 0
    one_sentence(printed, "companions.studies is empty; name lottery, depth, mixture or filtering")


# -- what networks are trained anew for --------------------------------------------------------------------------------


class Watched:
    """Settings that remember which of them were looked at, by their paths."""

    def __init__(self, section: Section, seen: set[str], path: str = ""):
        self.section, self.seen, self.path = section, seen, path

    def __getattr__(self, name: str):
        of = type(self.section)
        if isinstance(getattr(of, name, None), property):
            return getattr(of, name).fget(self)
        if callable(getattr(of, name, None)):
            return getattr(of, name).__get__(self)
        value = getattr(self.section, name)
        if name not in of.model_fields:
            return value
        if isinstance(value, Section):
            return Watched(value, self.seen, f"{self.path}{name}.")
        self.seen.add(self.path + name)
        return value


def paths(section: Section, path: str = "") -> dict[str, object]:
    """Every setting by its path."""
    found = {}
    for name, value in section:
        found |= paths(value, f"{path}{name}.") if isinstance(value, Section) else {path + name: value}
    return found


def reading_paths(section: Section) -> set[str]:
    """Settings that are said not to matter to the training."""
    kept = section.training()
    return {path for path in paths(section) if not is_in(kept, path.split("."))}


def is_in(values: dict, steps: list[str]) -> bool:
    return steps[0] in values and (len(steps) == 1 or is_in(values[steps[0]], steps[1:]))


@pytest.mark.parametrize("name", TRAINED_APART)
def test_training_depends_on_all_settings_but_those_of_reading(name, tmp_path):
    """`elements` only says how much is worked on at once."""
    settings, seen = getattr(SETTINGS, name), set()
    watched = Watched(settings, seen)
    for job in watched.jobs:
        (tmp_path / job).mkdir()
        TRAINED_APART[name].run_job(watched, job, torch.device("cpu"), tmp_path / job)
    assert seen - {"elements"} == set(paths(settings)) - reading_paths(settings)


def key(name: str, path: str, value) -> str:
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    *steps, last = [name, *path.split(".")]
    section = values["companions"]
    for step in steps:
        section = section[step]
    section[last] = value
    return Layout(config.parse(values), "corpus").companion_keys[name]


@pytest.mark.parametrize("name", TRAINED_APART)
def test_keys_follow_the_settings_of_training(name):
    settings, bound = getattr(Companions(), name), ("inputs", "most_seeds", "hidden")
    reading = reading_paths(settings)
    numbers = {path: value for path, value in paths(settings).items() if isinstance(value, int | float)}
    base = key(name, "seed", 0)
    for path, value in numbers.items():
        if path.split(".")[-1] not in bound:
            other = key(name, path, value * 1.01 if isinstance(value, float) else value + 1)
            assert (other == base) == (path in reading), path
    assert {path in reading for path in numbers} == {True, False}


def planned(path: Path) -> StudyPlan:
    return StudyPlan(Layout(config.load(path), "corpus"))


def test_only_families_of_one_width_and_three_depths_are_a_ladder():
    ladder = planned(WORKFLOW / "studies/depth-ladder.yaml")
    assert len(depth_ladder(ladder)) == 12
    assert len(depth_pairs(ladder)) == 8
    assert depth_ladder(planned(ROOT / "config.yaml")) == []
    assert depth_ladder(planned(WORKFLOW / "studies/smoke.yaml")) == []
