"""What jobs ask of a cluster: enough for the networks, more at every attempt, and no GPU where there is none."""

import re
import subprocess
import sys

import pytest
import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.parsing import load, parse
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning import needs as resources
from rosetta_scaling.planning.requests import requests
from rosetta_scaling.planning.sizes import weight_bytes
from rosetta_scaling.planning.study_plan import StudyPlan


def planned(name: str, **changes) -> StudyPlan:
    """Of a ready study; the key of its corpus does not matter."""
    values = yaml.safe_load((WORKFLOW / f"studies/{name}.yaml").read_text())
    return StudyPlan(Layout(parse(values | changes), "corpus"))


def test_memory_and_time_double_with_every_attempt_and_gpus_do_not():
    def need(wildcards):
        return resources.Need(memory_mb=wildcards, minutes=7, gpus=2)

    memory, runtime, gpu = (resource(need) for resource in (resources.memory, resources.runtime, resources.gpu))
    assert memory(500, attempt=1) == resources.BASE_MB + 500
    assert [memory(500, attempt) / memory(500, 1) for attempt in (2, 3)] == [2, 4]
    assert runtime(0, attempt=1) == resources.START_MINUTES + 21
    assert [runtime(0, attempt) / runtime(0, 1) for attempt in (2, 3)] == [2, 4]
    assert [gpu(0, attempt) for attempt in (1, 2, 3)] == [2, 2, 2]


@pytest.mark.parametrize("need", [resources.reading, resources.selectivity])
def test_a_network_fits_the_memory_that_its_job_asks_for(need):
    paper = planned("language-paper")
    asked = {model: need(paper, model) for model in paper.layout.models}
    for model, found in asked.items():
        assert found.memory_mb * 1e6 > weight_bytes(paper.study) * paper.size(model).parameters
    small, large = asked["opt-s125m"], asked["opt-s30b"]
    ratio = paper.size("opt-s30b").parameters / paper.size("opt-s125m").parameters
    assert large.memory_mb > 20 * small.memory_mb
    assert large.minutes > 20 * small.minutes
    assert ratio > 100


def test_training_asks_for_weights_gradients_and_moments():
    smoke = planned("smoke")
    size = smoke.size("neox-r3")
    assert resources.training(smoke, "neox-r3").memory_mb * 1e6 > 16 * size.parameters
    assert resources.training(smoke, "neox-r3").minutes > resources.training(smoke, "neox-r1").minutes


MEASURE = """
import sys
from pathlib import Path
import numpy as np, torch
from rosetta_scaling.config.parsing import load
from rosetta_scaling.networks.training.text import TextTask, validate
from rosetta_scaling.networks.training.trainer import Training

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6

torch.set_num_threads(1)
study, device = load(Path(sys.argv[1])), torch.device("cpu")
tokens = np.zeros(100_000, np.uint16)

def train(family, size, ladder):
    run = Training(TextTask(study.families[family], size, ladder, None), ladder, device)
    for _ in range(3):
        run.advance(tokens, 1e-3)
    validate(run.model, tokens[: 40 * ladder.context], ladder.context, device)
    return peak()

size, small = study.ladder.rungs["r3"], {"hidden_size": 4, "heads": 1, "layers": 1}
libraries = train("bloom", size.model_copy(update=small), study.ladder.model_copy(update={"context": 8}))
print(train("bloom", size, study.ladder) - libraries)
"""


@pytest.mark.slow(0.2)
def test_training_takes_what_was_planned_and_not_much_less():
    study = WORKFLOW.parent / "config.yaml"
    plan = StudyPlan(Layout(load(study).model_copy(update={"device": "cpu"}), "corpus"))
    measured = subprocess.run([sys.executable, "-c", MEASURE, str(study)], capture_output=True, text=True, check=True)
    taken, asked = float(measured.stdout), resources.training(plan, "bloom-r3").memory_mb
    assert asked / 2.5 < taken < asked


def test_a_gpu_trains_faster_than_a_core():
    card, core = planned("ladder-large"), planned("ladder-large", device="cpu")
    for model in card.layout.models:
        fast, slow = resources.training(card, model), resources.training(core, model)
        assert fast.minutes < slow.minutes / 100
    assert resources.training(card, "bloom-r7").memory_mb > 1.3 * resources.training(card, "neox-r7").memory_mb


def test_small_jobs_share_a_gpu_and_large_ones_have_it_for_themselves():
    large = planned("ladder-large")
    most = yaml.safe_load((WORKFLOW / "profiles/gpu/config.yaml").read_text())["resources"][0]
    assert re.fullmatch(r"gpu_mb=\d+", most)
    most = int(most.removeprefix("gpu_mb="))

    def taken(need):
        return resources.gpu_memory(lambda wildcards: need)(None, attempt=2)

    assert 20 * taken(resources.training(large, "neox-r1")) < most
    assert most / 2 < taken(resources.training(large, "bloom-r7")) < most
    assert taken(resources.matching(large, "neox-r7--bloom-r7")) < most
    assert taken(resources.training(planned("smoke", device="cpu"), "neox-r1")) == 0


def test_every_rule_that_works_on_a_gpu_says_how_much_of_it_it_takes():
    rules = "".join(path.read_text() for path in sorted((WORKFLOW / "rules").glob("*.smk")))
    whole = re.findall(r"\bgpu=needs\.gpu\((\w+)\),\n", rules)
    assert len(whole) > 10
    assert whole == re.findall(r"\bgpu=needs\.gpu\((\w+)\),\n +gpu_mb=needs\.gpu_memory\(\1\),\n", rules)


def test_the_jobs_of_a_pair_ask_for_the_budget_of_the_study_and_for_the_time_of_its_products():
    small, paper = planned("language-small"), planned("language-paper")
    pair = "opt-s350m--gpt2-s350m"
    for need in (resources.matching, resources.tiling, resources.proposing):
        assert need(small, pair).memory_mb >= small.study.matching.memory_mb
        assert need(paper, "opt-s30b--qwen-s30b").minutes > 5 * need(paper, pair).minutes, need.__name__


def test_the_tables_of_a_point_ask_for_the_partners_of_every_two_of_its_networks():
    large = planned("ladder-large")
    two, three = (resources.comparing(large, curve).memory_mb - resources.TABLES_MB for curve in CURVES)
    rows = (1 + 10 / 3) * 2 * 49_152 * (1 + 2 + 40 + 30)  # the real pair, halves, resamples, draws of nulls
    assert two == pytest.approx(100 * rows / 1e6)
    assert two < three < 3 * two
    sampled = planned("ladder-large", nulls={"rows": 1000}, matching={"criteria": [{"k": 1, "min_r": 0.0}]})
    assert resources.comparing(sampled, CURVES[0]).memory_mb - resources.TABLES_MB < 0.3 * two


CURVES = ("neox-bloom", "neox-bloom-llama")


def test_networks_that_do_not_fit_one_gpu_ask_for_several():
    paper = planned("language-paper")
    assert resources.reading(paper, "opt-s125m").gpus == 1
    assert resources.reading(paper, "opt-s30b").gpus == 2  # 60 GB on halves of 80 GB
    assert resources.tiling(paper, "opt-s30b--qwen-s30b").gpus == 4
    roomy = planned("language-paper", networks={"dtype": "bfloat16", "memory_gb": 100})
    assert resources.reading(roomy, "opt-s30b").gpus == 1


def test_without_a_gpu_none_is_asked_for_and_more_time_is():
    with_gpu, without = planned("language-small"), planned("language-small", device="cpu")
    assert resources.reading(with_gpu, "opt-s1b").gpus == 1
    assert resources.reading(without, "opt-s1b").gpus == 0
    assert resources.matching(without, "opt-s350m--gpt2-s350m").gpus == 0
    assert resources.reading(without, "opt-s1b").minutes > 10 * resources.reading(with_gpu, "opt-s1b").minutes


def test_short_jobs_go_together_and_long_ones_do_not():
    assert resources.is_quick(planned("smoke"))
    assert resources.is_quick(StudyPlan(Layout(load(WORKFLOW.parent / "config.yaml"), "corpus")))
    assert not resources.is_quick(planned("language-paper"))
    assert not resources.is_quick(planned("smoke", ladder={**LADDER, "tokens": 10**9})), "training takes hours"


LADDER = yaml.safe_load((WORKFLOW / "studies/smoke.yaml").read_text())["ladder"]


def test_resources_do_not_import_torch():
    code = "import sys, rosetta_scaling.planning.requests; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_plan_says_what_is_asked_for():
    paper = planned("language-paper")
    table = requests(paper).set_index("jobs_that")
    assert table.networks_or_pairs["match, nulls, stability"] == len(paper.layout.pairs)
    reading = [resources.reading(paper, model) for model in paper.layout.models]
    asked = resources.memory(lambda model: resources.reading(paper, model))
    assert table.largest_gb["read networks"] == max(asked(model, 1) for model in paper.layout.models) / 1000
    assert table.gpus["read networks"] == max(need.gpus for need in reading) >= 2, "30 billion parameters in float32"
    assert table.gpu_hours["read networks"] == pytest.approx(sum(need.gpus * need.minutes for need in reading) / 60)
    assert (requests(planned("language-paper", device="cpu")).gpu_hours == 0).all()
    assert "train" not in table.index
    assert "train" in requests(planned("smoke")).jobs_that.tolist()
