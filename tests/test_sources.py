"""Networks that are not trained here: where they are from, what they are called, how they are loaded."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
import yaml
from hub_mirror import Mirror

from rosetta_scaling import WORKFLOW
from rosetta_scaling.activations.forward import ForwardPass
from rosetta_scaling.config import study as config
from rosetta_scaling.config.study import Networks
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.networks.loading import load_model, untrained_model, write_untrained
from rosetta_scaling.networks.manifests import register
from rosetta_scaling.networks.model_sizes import config_size
from rosetta_scaling.planning.sizes import Sizes
from rosetta_scaling.planning.tables import download_bytes
from rosetta_scaling.stages.networks import check_models
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json

CPU = torch.device("cpu")
SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 50}


def study(**families) -> Layout:
    """A study of these families, the first of which is the anchor of all."""
    anchor, *others = families
    values = {"study": "s", "families": families, "curves": {f"{anchor}-{name}": [anchor, name] for name in others}}
    layout = Layout(config.parse(values), "corpus")
    check_models(layout)
    return layout


def sizes(**families) -> Sizes:
    return Sizes(study(**families))


def hub(*names: str) -> dict:
    return {"source": "hub", "models": {f"r{i}": name for i, name in enumerate(names)}}


def save(folder: Path, made) -> Path:
    torch.manual_seed(0)
    transformers.AutoModel.from_config(made).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture
def mirror():
    served = Mirror()
    yield served
    served.close()


# -- names and keys --------------------------------------------------------------------------------------------------


def test_what_is_fetched_lies_in_the_cache_under_a_key_of_its_own():
    pythia = hub("EleutherAI/pythia-70m@step1", "EleutherAI/pythia-70m@step2", "EleutherAI/pythia-160m@main")
    layout = study(
        pythia=pythia,
        again=hub("EleutherAI/pythia-70m@main"),
        minilm={"source": "package", "models": {"r0": "minilm-l6"}},
        fresh={"source": "untrained", "of": "pythia", "seed": 1},
        other={"source": "untrained", "of": "pythia", "seed": 2},
    )
    folders = [layout.checkpoint(model) for model in layout.models]
    assert len(set(folders)) == len(folders) == 3 + 1 + 1 + 3 + 3
    assert all(folder.startswith("results/cache/checkpoints/") for folder in folders)
    assert set(layout.keys_of("hub").values()) == {"pythia-r0", "pythia-r1", "pythia-r2", "again-r0"}
    assert list(layout.keys_of("package").values()) == ["minilm-r0"]
    assert len(layout.keys_of("untrained")) == 6
    assert not layout.keys_of("ladder")


def test_an_untrained_network_has_the_tokenizer_and_the_size_of_the_trained_one():
    layout = study(opt=hub("facebook/opt-125m@main"), fresh={"source": "untrained", "of": "opt"})
    assert layout.original("fresh-r0") == "opt-r0"
    assert layout.tokenizer_file("fresh-r0") == layout.tokenizer_file("opt-r0")
    assert Sizes(layout).of("fresh-r0") == Sizes(layout).of("opt-r0")
    assert layout.tokenizer_files("study") == {"opt-r0": f"{layout.checkpoint('opt-r0')}/tokenizer.json"}


def test_an_untrained_family_needs_its_original_though_no_curve_names_it():
    layout = study(
        a=hub("facebook/opt-125m@main"), fresh={"source": "untrained", "of": "b"}, b=hub("facebook/opt-350m@main")
    )
    values = layout.study.model_dump(mode="json")
    values["curves"] = {"a-fresh": ["a", "fresh"]}
    layout = Layout(config.parse(values), "corpus")
    assert layout.models == ["a-r0", "fresh-r0"]
    assert set(layout.keys_of("hub").values()) == {"a-r0", "b-r0"}


def test_one_network_under_two_names_does_not_meet_itself():
    with pytest.raises(StudyError, match="two of them are the same network"):
        study(a=hub("facebook/opt-125m@main"), b=hub("facebook/opt-125m@main"))


# -- sizes, with no network ------------------------------------------------------------------------------------------


def test_sizes_are_known_before_anything_is_downloaded():
    layout = study(
        pythia=hub("EleutherAI/pythia-6.9b@main"),
        seed=hub("EleutherAI/pythia-160m-seed3@main"),
        opt=hub("facebook/opt-30b@main"),
        minilm={"source": "package", "models": {"r0": "minilm-l6"}},
    )
    neurons = {model: Sizes(layout).of(model).neurons for model in layout.models}
    assert neurons == {"pythia-r0": 524_288, "seed-r0": 36_864, "opt-r0": 1_376_256, "minilm-r0": 9_216}


def test_the_hub_is_asked_for_a_size_that_nobody_knows_and_only_once(tmp_path, monkeypatch, mirror):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    config = transformers.GPTNeoXConfig(**SMALL)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    (tmp_path / "model/tokenizer.json").write_text("{}")
    mirror.add("owner/name", tmp_path / "model")
    code = """if True:
        import test_sources
        print(test_sources.sizes(a=test_sources.hub("owner/name@main"), b=test_sources.hub("facebook/opt-125m@main"))
            .of("a-r0").neurons)
    """
    command, printed = [sys.executable, "-c", code], []
    environment = os.environ | {"HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": f"{WORKFLOW}:{Path(__file__).parent}"}
    for endpoint in (mirror.endpoint, "http://127.0.0.1:9"):
        done = subprocess.run(command, capture_output=True, text=True, env=environment | {"HF_ENDPOINT": endpoint})
        printed.append(done.stdout.strip() or done.stderr[-500:])
    assert printed == [str(3 * 64)] * 2
    assert {request.name for request in mirror.requests} == {"api", "config.json"}


def test_an_unknown_package_is_refused():
    with pytest.raises(StudyError, match="no package is known for the network 'gpt9'"):
        sizes(a={"source": "package", "models": {"r0": "gpt9"}}, b=hub("facebook/opt-125m@main")).of("a-r0")


def test_the_folder_decides_once_it_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout = study(a=hub("facebook/opt-125m@main"), b=hub("facebook/opt-350m@main"))
    folder = Path(layout.checkpoint("a-r0"))
    folder.mkdir(parents=True)
    write_json(folder / "config.json", SMALL)
    assert Sizes(layout).of("a-r0").neurons == 36_864, "a half download does not count"
    write_json(folder / "manifest.json", {})
    assert Sizes(layout).of("a-r0").neurons == 3 * 64


def test_every_package_has_what_a_plan_needs():
    for name, entry in yaml.safe_load((WORKFLOW / "models/packages.yaml").read_text()).items():
        size = config_size(entry["config"], name)
        assert size.neurons > 4000, name
        assert size.vocabulary > 30_000, name
        layout = study(a={"source": "package", "models": {"r0": name}}, b=hub("facebook/opt-125m@main"))
        assert download_bytes(layout, "a-r0", 0) == sum(package["bytes"] for package in entry["packages"])


@pytest.mark.parametrize("path", sorted((WORKFLOW / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_study_can_be_planned_without_a_network(path, tmp_path):
    """A closed port for a hub, and a cache that is empty."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOW.parent / "Snakefile"), "--dry-run"]
    command += ["--quiet", "rules", "--directory", str(tmp_path), "--configfile", str(path)]
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "match_pair" in done.stdout + done.stderr


# -- loading ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def neox(tmp_path) -> Path:
    torch.manual_seed(0)
    made = transformers.GPTNeoXConfig(**SMALL, max_position_embeddings=64)
    transformers.AutoModelForCausalLM.from_config(made).save_pretrained(tmp_path / "neox")
    (tmp_path / "neox/tokenizer.json").write_text("{}")
    return tmp_path / "neox"


def tokens_of(lengths: list[int]) -> pd.DataFrame:
    """Passages of random tokens, each of which is a unit."""
    count = sum(lengths)
    token = np.random.default_rng(0).integers(1, 50, count)
    passage = np.repeat(range(len(lengths)), lengths)
    position = np.concatenate([np.arange(length) for length in lengths])
    return pd.DataFrame({"passage": passage, "position": position, "token": token, "unit": range(count)})


def neurons(model, tokens: pd.DataFrame, batch: int) -> torch.Tensor:
    return next(ForwardPass(model, tokens, batch, "float32", CPU).chunks())[:, : len(tokens)].clone()


def test_a_network_larger_than_its_memory_is_spread_and_read_the_same(neox):
    tokens, whole = tokens_of([9, 5]), load_model(neox, CPU)
    weights = sum(file.stat().st_size for file in neox.glob("*.safetensors"))
    spread = load_model(neox, CPU, Networks(memory_gb=weights / 2 / 1e9))
    places = {parameter.device.type for parameter in spread.parameters()}
    assert places == {"cpu", "meta"}, "some of it is on disk"
    torch.testing.assert_close(neurons(spread, tokens, 4), neurons(whole, tokens, 4), atol=0, rtol=0)
    roomy = load_model(neox, CPU, Networks(memory_gb=1))
    assert {parameter.device.type for parameter in roomy.parameters()} == {"cpu"}


def test_lower_precision_is_close(neox):
    model, tokens = load_model(neox, CPU, Networks(dtype="bfloat16")), tokens_of([9, 5])
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    exact, rough = neurons(load_model(neox, CPU), tokens, 4), neurons(model, tokens, 4)
    assert 0 < (exact - rough).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("made", [transformers.BertConfig, transformers.MPNetConfig, transformers.RobertaConfig])
def test_encoders_do_not_see_the_padding_of_a_batch(made, tmp_path):
    model = load_model(save(tmp_path / "encoder", made(**SMALL, max_position_embeddings=64)), CPU)
    tokens = tokens_of([3, 17, 9])
    torch.testing.assert_close(neurons(model, tokens, 3), neurons(model, tokens, 1), atol=1e-5, rtol=1e-4)


def test_a_fresh_network_is_a_folder_like_any_other(neox, tmp_path):
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        write_untrained(neox, seed, tmp_path / name)
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "same", "other")}
    assert weights["one"] == weights["same"] != weights["other"]
    assert read_json(tmp_path / "one/manifest.json") == {"source": "untrained", "of": str(neox), "seed": 1}
    loaded = load_model(tmp_path / "one", CPU).state_dict()
    torch.testing.assert_close(loaded, untrained_model(neox, 1, CPU).state_dict())


def test_what_is_known_of_a_network_is_registered(neox, tmp_path):
    written = {"config.json": {"sha256": file_sha256(neox / "config.json"), "bytes": 1}}
    origin = {"source": "hub", "repository": "a/b", "commit": "c" * 40}
    write_json(neox / "manifest.json", origin | {"files": written})
    register("m", "hub", neox, "text", tmp_path / "m.json")
    found = read_json(tmp_path / "m.json")
    assert found["origin"] == origin
    assert set(found["sha256"]) == {"config.json", "tokenizer.json", "model.safetensors"}
    register("m", "local", neox, "text", tmp_path / "local.json")
    assert read_json(tmp_path / "local.json")["origin"] == {}, "a manifest in a local folder is not ours"
