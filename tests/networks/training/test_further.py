"""A network that is trained further starts as another one, and learns the text that it is given."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.networks.training.further import FurtherTask, texts_of_domain
from rosetta_scaling.networks.training.text import TextTask
from rosetta_scaling.networks.training.tokenizers import prepare_text, shuffled
from rosetta_scaling.networks.training.trainer import TrainingJob, train
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table, write_table
from rosetta_scaling.store.tensors import read_tensors

CPU = torch.device("cpu")
SIZE = Size(hidden_size=16, layers=1, heads=2, learning_rate=1e-2)
LADDER = Ladder(tokens=8_000, context=16, batch_sequences=4)
FAMILY = Family(architecture="gpt_neox", vocabulary=300, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Documents of two domains, and a network that has read a little of both."""
    folder = tmp_path_factory.mktemp("further")
    up = [" ".join(str(i) for i in range(k, k + 60)) for k in range(40)]
    down = [" ".join(str(i) for i in range(k + 60, k, -1)) for k in range(40)]
    documents = pd.DataFrame({"text": up + down, "domain": ["up"] * 40 + ["down"] * 40})
    documents["split"] = np.where(documents.index % 10 == 0, "probe", "train")
    write_table(folder / "documents.parquet", documents)
    prepare_text(folder / "documents.parquet", FAMILY, folder / "text")
    run(folder, "origin", TextTask(FAMILY, SIZE, LADDER, folder / "text"))
    return folder


def run(folder, name, task):
    job = TrainingJob(name, task.family, task.size, task.settings, task, folder / name, folder / f"work-{name}", 100)
    train(job, CPU)
    return read_tensors(folder / name / "model.safetensors"), read_json(folder / name / "manifest.json")


def further(folder, domain="up", rate=1e-2, tokens=8_000, seed=9):
    """A task of further training; model_copy checks nothing, so that no rate and no tokens can be asked for."""
    family = FAMILY.model_copy(update={"source": "continued", "seed": seed})
    size, ladder = (
        one.model_copy(update=new) for one, new in ((SIZE, {"learning_rate": rate}), (LADDER, {"tokens": tokens}))
    )
    texts = texts_of_domain(read_table(folder / "documents.parquet"), domain)
    train, probes = shuffled(texts["train"], seed), {"domain": texts["probe"]}
    return FurtherTask(family, size, ladder, folder / "text", origin=folder / "origin", texts=train, probes=probes)


def test_it_learns_its_domain_at_the_cost_of_the_other(folder):
    _, up = run(folder, "up", further(folder, "up"))
    _, down = run(folder, "down", further(folder, "down"))
    for found in (up, down):
        assert found["source"] == "continued"
        assert found["training_tokens"] == 8_100
        assert found["domain_bits_after"] < 0.9 * found["domain_bits_before"]
    start = read_json(folder / "origin/manifest.json")["validation_bits_per_byte"]
    both = (up["domain_bits_before"] + down["domain_bits_before"]) / 2
    assert both == pytest.approx(start, rel=0.05), "both halves of the probe text are as long"
    forgotten = 2 * up["validation_bits_per_byte"] - up["domain_bits_after"]
    assert forgotten > down["domain_bits_before"], "it predicts the other domain worse than its origin did"


@pytest.mark.parametrize("nothing", [{"rate": 0.0}, {"tokens": 0}])
def test_without_a_rate_or_tokens_it_is_its_origin(folder, nothing):
    name = f"no-{next(iter(nothing))}"
    weights, found = run(folder, name, further(folder, **nothing))
    origin = read_tensors(folder / "origin/model.safetensors")
    assert all(torch.equal(weights[key], origin[key]) for key in origin)
    assert found["domain_bits_before"] == found["domain_bits_after"]


def test_it_reads_its_domain_and_nothing_else(folder):
    up, down, whole = (further(folder, domain).open() for domain in ("up", "down", None))
    assert len(up) + len(down) == len(whole)
    assert sorted(np.concatenate([up, down])) == sorted(np.load(folder / "text/tokens.npy"))
    assert not np.array_equal(up, further(folder, "up", seed=10).open()), "the seed orders the text"


def test_text_that_is_not_there_or_too_short_is_one_sentence(folder):
    with pytest.raises(StudyError, match=r"domain 'left', but the corpus has \['down', 'up'\]"):
        further(folder, "left")
    long = replace(further(folder), settings=LADDER.model_copy(update={"context": 100_000}))
    with pytest.raises(StudyError, match=r"the text gives .* tokens to train further on, fewer than one sequence"):
        long.open()
