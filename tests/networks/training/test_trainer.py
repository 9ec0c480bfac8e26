"""Training is a function of its settings: it resumes exactly, and what it writes any transformers user can load."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.networks.model_sizes import trained_size
from rosetta_scaling.networks.training import text as text_task
from rosetta_scaling.networks.training import trainer as ladder
from rosetta_scaling.networks.training.tokenizers import END, SPLITS, prepare_text, train_tokenizer
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_table
from rosetta_scaling.store.tensors import read_tensors

CPU = torch.device("cpu")
SIZE = Size(hidden_size=8, layers=1, heads=2, learning_rate=1e-2)
SETTINGS = Ladder(tokens=2_000, context=16, batch_sequences=4, checkpoint_seconds=0)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Real English with a rule to learn: a third of the documents count."""
    folder = tmp_path_factory.mktemp("text")
    counting = [" ".join(str(i) for i in range(k, k + 60)) for k in range(40)]
    prose = [f"{ladder.__doc__} {json.__doc__[:600]} chapter {k}" for k in range(80)]
    documents = pd.DataFrame({"text": counting + prose, "domain": "text"})
    documents["split"] = np.where(documents.index % 10 == 0, "probe", "train")
    write_table(folder / "documents.parquet", documents)
    return folder / "documents.parquet"


@pytest.fixture
def prepared(text, tmp_path, architecture):
    family = Family(architecture=architecture, vocabulary=300, seed=3)
    prepare_text(text, family, tmp_path / "text")
    return family, tmp_path


def train(family, folder, name="run", settings=SETTINGS):
    out = folder / name / "out"
    task = text_task.TextTask(family, SIZE, settings, folder / "text")
    job = ladder.TrainingJob("m", family, SIZE, settings, task, out, folder / name / "work")
    ladder.train(job, CPU)
    return out


def test_an_interrupted_training_ends_with_the_same_bytes(prepared, monkeypatch):
    family, folder = prepared
    whole = train(family, folder, "whole")
    real, steps = ladder.Training.advance, []

    def dies(self, *arguments):
        steps.append(self.step)
        if len(steps) == 17:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(ladder.Training, "advance", dies)
    with pytest.raises(KeyboardInterrupt):
        train(family, folder, "cut")
    assert not (folder / "cut/out").exists()
    cut = train(family, folder, "cut")
    assert steps[17] == 16, "it continues where it was saved, not from the start"
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    first, second = read_json(whole / "manifest.json"), read_json(cut / "manifest.json")
    assert first["validation_loss"] == second["validation_loss"]
    assert first["losses"] == second["losses"]


def test_the_loss_falls_and_is_what_transformers_computes(prepared):
    family, folder = prepared
    out = train(family, folder, settings=SETTINGS.model_copy(update={"tokens": 12_000, "checkpoint_seconds": 99}))
    manifest = read_json(out / "manifest.json")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert manifest["validation_loss"] < 0.75 * np.log(family.vocabulary)
    held_out = torch.from_numpy(np.load(folder / "text/held_out.npy").astype(np.int64))
    windows = held_out[: (len(held_out) - 1) // 16 * 16].view(-1, 16)
    following = held_out[1 : len(windows) * 16 + 1].view(-1, 16)
    with torch.no_grad():
        logits = model(windows).logits
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten()).item()
    assert manifest["validation_loss"] == pytest.approx(expected, rel=1e-4)
    text = tokenizer.decode(held_out.tolist(), skip_special_tokens=True)
    nats = manifest["validation_loss"] * len(held_out)
    assert manifest["validation_bits_per_byte"] == pytest.approx(nats / np.log(2) / len(text.encode()), rel=1e-6)


def test_tokens_are_equal_or_in_proportion_to_size_and_the_record_says_how_often_they_were_read(prepared):
    family, folder = prepared
    settings = Ladder(tokens=1_000, tokens_per_parameter=2.5, context=16, batch_sequences=4)
    parameters = trained_size(family, SIZE).non_embedding_parameters
    manifest = read_json(train(family, folder, settings=settings) / "manifest.json")
    assert 0 <= manifest["training_tokens"] - 2.5 * parameters < 64, "rounded up to whole steps"
    assert manifest["epochs"] == manifest["training_tokens"] / len(np.load(folder / "text/tokens.npy"))
    assert settings.model_copy(update={"tokens_per_parameter": None}).tokens_of(parameters) == 1_000


def test_seed_and_order_decide_the_weights(prepared):
    family, folder = prepared
    other = family.model_copy(update={"seed": 4})
    first, same, different = train(family, folder, "1"), train(family, folder, "2"), train(other, folder, "3")
    weights = [read_tensors(out / "model.safetensors") for out in (first, same, different)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


def test_batches_depend_on_seed_and_step_alone():
    tokens = np.arange(10_000, dtype=np.uint16)
    first = text_task.batch(tokens, 7, 1, sequences=4, context=16)
    assert first.shape == (4, 17)
    assert torch.equal(first, text_task.batch(tokens, 7, 1, sequences=4, context=16))
    assert not torch.equal(first, text_task.batch(tokens, 8, 1, sequences=4, context=16))
    assert (first[:, 1:] - first[:, :-1] == 1).all()


def test_learning_rate_rises_then_falls():
    rates = [ladder.learning_rate(step, 100, 1.0, 0.1) for step in range(100)]
    assert rates[9] == 1.0
    assert np.argmax(rates) == 9
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_tokenizers_differ_between_families_and_decode_what_they_encode(text):
    texts = pd.read_parquet(text).text.tolist()
    made = {name: train_tokenizer(texts, Family(architecture=name, vocabulary=700)) for name in SPLITS}
    sample = "def f(x):\n    return x_1 + 1234  # naïve 日本"
    assert len({tuple(t.encode(sample).offsets) for t in made.values()}) == len(made)
    for tokenizer in made.values():
        assert tokenizer.decode(tokenizer.encode(sample).ids) == sample


def test_a_control_token_written_in_the_text_is_text(tmp_path, architecture):
    written = f"an end{END}\n{END}\n" * 3  # often enough to be merged into one token
    documents = pd.DataFrame({"text": [f"{written} {k}" for k in range(60)], "domain": "text"})
    documents["split"] = np.where(documents.index % 10 == 0, "probe", "train")
    write_table(tmp_path / "documents.parquet", documents)
    prepare_text(tmp_path / "documents.parquet", Family(architecture=architecture, vocabulary=400), tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    end = tokenizer.token_to_id(END)
    for name, split in {"tokens": "train", "held_out": "probe"}.items():
        stream = np.load(tmp_path / f"{name}.npy")
        ends = np.flatnonzero(stream == end)
        parts = [tokenizer.decode(part[part != end].tolist()) for part in np.split(stream, ends + 1)[:-1]]
        assert sorted(parts) == sorted(documents.text[documents.split == split])


def test_a_domain_without_training_text_is_refused_when_something_is_trained(tmp_path):
    documents = pd.DataFrame({"text": "some words", "domain": ["law", "law", "tales"], "split": "probe"})
    documents.loc[0, "split"] = "train"
    write_table(tmp_path / "documents.parquet", documents)
    with pytest.raises(StudyError, match=r"\['tales'\] have no document to train on"):
        prepare_text(tmp_path / "documents.parquet", Family(architecture="gpt2", vocabulary=300), tmp_path)


def test_a_tokenizer_of_other_text_is_trained_as_ever(text):
    """The iterator is another one, but what the trainer sees of text without control tokens is the same."""
    texts, family = pd.read_parquet(text).text.tolist(), Family(architecture="bloom", vocabulary=500, seed=1)
    assert not any(END in one for one in texts)
    chosen = np.random.default_rng([family.seed, 0]).permutation(len(texts))[: len(texts) // 2]
    plain = Tokenizer.from_str(train_tokenizer(texts, family).to_str())
    plain.train_from_iterator(
        [texts[i] for i in sorted(chosen)],
        trainers.BpeTrainer(
            vocab_size=family.vocabulary,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[END],
            show_progress=False,
        ),
    )
    assert plain.to_str() == train_tokenizer(texts, family).to_str()
