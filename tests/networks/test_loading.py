"""Networks that are not trained here: where they are from, what they are called, how they are loaded."""

import gc
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
import yaml
from hub_mirror import Mirror
from hub_studies import hub, sizes, study
from study_runs import SUPPORT

from rosetta_scaling import WORKFLOW
from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.config import parsing as config
from rosetta_scaling.config.networks import Networks
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.networks.audit.fingerprints import fingerprint
from rosetta_scaling.networks.loading import load_model, untrained_model, write_untrained
from rosetta_scaling.networks.manifests import describe, register
from rosetta_scaling.networks.mlps import find_down_projections, read_inputs
from rosetta_scaling.networks.model_sizes import config_size, folder_size
from rosetta_scaling.planning.sizes import Sizes
from rosetta_scaling.planning.tables import download_bytes
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json
from rosetta_scaling.store.tensors import read_tensors, write_tensors

CPU = torch.device("cpu")
SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 50}


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


@pytest.mark.slow(0.1)
def test_the_hub_is_asked_for_a_size_that_nobody_knows_and_only_once(tmp_path, monkeypatch, mirror):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    config = transformers.GPTNeoXConfig(**SMALL)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    (tmp_path / "model/tokenizer.json").write_text("{}")
    mirror.add("owner/name", tmp_path / "model")
    code = """if True:
        from hub_studies import hub, sizes
        print(sizes(a=hub("owner/name@main"), b=hub("facebook/opt-125m@main")).of("a-r0").neurons)
    """
    command, printed = [sys.executable, "-c", code], []
    environment = os.environ | {"HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": f"{WORKFLOW}:{SUPPORT}"}
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
        assert size.vocabulary > 30_000 or "preprocessing" in entry, f"{name} neither reads nor sees"
        layout = study(a={"source": "package", "models": {"r0": name}}, b=hub("facebook/opt-125m@main"))
        assert download_bytes(layout, "a-r0", 0) == sum(package["bytes"] for package in entry["packages"])


def test_the_rules_are_read_without_a_network(tmp_path):
    """A network of unknown size, a closed port for a hub, and a cache that is empty."""
    families = {"a": hub("owner/unknown@main"), "b": hub("facebook/opt-125m@main")}
    values = study(**families).study.model_dump(mode="json")
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOW.parent / "Snakefile"), "--list-rules"]
    command += ["--directory", str(tmp_path), "--configfile", str(tmp_path / "s.yaml")]
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "extract_activations" in done.stdout


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
    return next(ForwardPass(model, TextInputs(model, tokens, CPU), Reading(batch, "float32", CPU)).chunks())[
        :, : len(tokens)
    ].clone()


def test_a_network_larger_than_its_memory_is_spread_and_read_the_same(neox):
    tokens, whole = tokens_of([9, 5]), load_model(neox, CPU)
    weights = sum(file.stat().st_size for file in neox.glob("*.safetensors"))
    # Less memory than settings may name: this network is smaller than any that needs to be spread.
    spread = load_model(neox, CPU, Networks.model_construct(memory_gb=weights / 2 / 1e9))
    places = {parameter.device.type for parameter in spread.parameters()}
    assert places == {"cpu", "meta"}, "some of it is on disk"
    torch.testing.assert_close(neurons(spread, tokens, 4), neurons(whole, tokens, 4), atol=0, rtol=0)
    roomy = load_model(neox, CPU, Networks(memory_gb=1))
    assert {parameter.device.type for parameter in roomy.parameters()} == {"cpu"}


def test_what_is_on_disk_of_a_network_goes_with_it(neox, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    weights = sum(file.stat().st_size for file in neox.glob("*.safetensors"))
    spread = load_model(neox, CPU, Networks.model_construct(memory_gb=weights / 2 / 1e9))
    assert any(tmp_path.glob("rosetta-offload-*"))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        del spread
        gc.collect()
    assert not any(tmp_path.glob("rosetta-offload-*"))
    assert not [one for one in warned if one.category is ResourceWarning]


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


@pytest.mark.parametrize("made", [transformers.MarianConfig, transformers.ProphetNetConfig, transformers.BartConfig])
def test_an_encoder_decoder_is_read_by_its_encoder(made, tmp_path):
    sizes = dict.fromkeys(("d_model", "hidden_size"), 32) | dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 48)
    sides = ("num_encoder", "num_decoder") if made is transformers.ProphetNetConfig else ("encoder", "decoder")
    sizes |= {f"{side}_{part}": 4 for side in sides for part in ("layers", "attention_heads")}
    sizes |= {f"{sides[0]}_layers": 3, "vocab_size": 50, "pad_token_id": 1, "decoder_start_token_id": 1}
    torch.manual_seed(0)
    model = transformers.AutoModelForSeq2SeqLM.from_config(made(**sizes))
    model.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    loaded, tokens = load_model(tmp_path, CPU), tokens_of([3, 17, 9])
    assert describe(loaded)["neurons"] == [48] * 3
    assert folder_size(tmp_path).neurons == 3 * 48
    torch.testing.assert_close(neurons(loaded, tokens, 3), neurons(loaded, tokens, 1), atol=1e-5, rtol=1e-4)
    read = {}
    with torch.no_grad(), read_inputs(dict(enumerate(find_down_projections(model.eval()))), read.__setitem__):
        model.get_encoder()(input_ids=torch.tensor(tokens.token.to_numpy()[None, :3]))
    expected = torch.cat([read[layer][0] for layer in range(3)], 1)
    torch.testing.assert_close(neurons(loaded, tokens, 1)[:, :3].T, expected, atol=1e-5, rtol=1e-4)


def test_a_network_of_speech_is_refused(tmp_path):
    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
    sizes |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "vocab_size": 50, "num_mel_bins": 8}
    config = transformers.WhisperConfig(**sizes, pad_token_id=1, bos_token_id=1, eos_token_id=1)
    transformers.WhisperForConditionalGeneration(config).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    message = "WhisperModel reads input_features; expected a network that reads text"
    with pytest.raises(StudyError, match=message):
        load_model(tmp_path, CPU)
    with pytest.raises(StudyError, match=message):
        folder_size(tmp_path)


def test_a_decoder_that_attends_to_an_encoder_is_refused(tmp_path):
    """As the decoder of a translator, saved alone."""
    sizes = {"d_model": 32, "decoder_layers": 2, "decoder_ffn_dim": 48, "decoder_attention_heads": 4, "vocab_size": 50}
    config = transformers.MarianConfig(**sizes, pad_token_id=1, is_encoder_decoder=False, is_decoder=True)
    transformers.MarianForCausalLM(config).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(
        StudyError, match=r"MarianForCausalLM is a decoder that attends to an encoder .*0\.encoder_attn"
    ):
        load_model(tmp_path, CPU)


def test_the_text_part_of_a_network_that_also_sees_is_a_folder_of_its_own(tmp_path):
    tower = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    text, image = tower | {"vocab_size": 50, "max_position_embeddings": 64}, tower | {"image_size": 16, "patch_size": 8}
    transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=image)).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(StudyError, match=r"CLIPModel does not read tokens alone .* save that as a folder of its own"):
        load_model(tmp_path, CPU)
    transformers.CLIPTextModel.from_pretrained(tmp_path).save_pretrained(tmp_path / "text")
    (tmp_path / "text/tokenizer.json").write_text("{}")
    assert describe(load_model(tmp_path / "text", CPU))["neurons"] == [48, 48]


def test_adapters_are_not_left_out_without_a_word(neox):
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (neox / name).write_bytes(b"{}")
    message = (
        r"holds an adapter \(adapter_config.json\) beside whole weights, .* only one of them can be meant; merge it"
    )
    with pytest.raises(StudyError, match=message):
        load_model(neox, CPU)
    (neox / "model.safetensors").unlink()
    with pytest.raises(StudyError, match=r"holds an adapter .*, no whole network; merge it into its base model"):
        load_model(neox, CPU)
    (neox / "adapter_config.json").unlink()
    with pytest.raises(StudyError, match=r"lacks model.safetensors \(weights\)"):
        load_model(neox, CPU)


def test_other_files_than_those_of_the_network_are_not_looked_at(neox, tmp_path):
    expected = fingerprint(neox)
    for name in ("consolidated.safetensors", "model.fp16.safetensors", "optimizer.safetensors"):
        (neox / name).write_bytes(b"nothing that is meant")
    register("m", "local", neox, "text", out_path=tmp_path / "m.json")
    assert set(read_json(tmp_path / "m.json")["sha256"]) == {"config.json", "tokenizer.json", "model.safetensors"}
    pd.testing.assert_frame_equal(fingerprint(neox), expected)


def test_a_network_in_shards_is_what_its_index_names(neox, tmp_path):
    transformers.AutoModelForCausalLM.from_pretrained(neox).save_pretrained(tmp_path / "cut", max_shard_size="20KB")
    (tmp_path / "cut/tokenizer.json").write_text("{}")
    shards = sorted((tmp_path / "cut").glob("model-*.safetensors"))
    assert len(shards) > 1
    assert len(fingerprint(tmp_path / "cut")) == len(fingerprint(neox))
    shards[1].unlink()
    with pytest.raises(StudyError, match=rf"cut lacks {shards[1].name}; expected a folder written by save_pretrained"):
        load_model(tmp_path / "cut", CPU)
    write_json(tmp_path / "cut/model.safetensors.index.json", {"metadata": {}})
    with pytest.raises(StudyError, match=r"index.json names no files"):
        load_model(tmp_path / "cut", CPU)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod.", "net.backbone."])
def test_weights_that_were_saved_in_a_wrapper_are_refused_with_the_reason(neox, prefix):
    tensors = read_tensors(neox / "model.safetensors")
    write_tensors(
        neox / "model.safetensors", {prefix + name: value for name, value in tensors.items()}, {"format": "pt"}
    )
    held = re.escape(f"it holds {prefix}")
    message = rf"lacks \d+ weights .*{held}.*saved inside a wrapper .* or take what the wrapper added off its names"
    with pytest.raises(StudyError, match=message):
        load_model(neox, CPU)


def test_weights_with_an_adapter_in_them_are_refused_with_the_reason(neox):
    tensors = read_tensors(neox / "model.safetensors")
    name = "gpt_neox.layers.0.mlp.dense_h_to_4h.weight"
    tensors[name.replace("weight", "base_layer.weight")] = tensors.pop(name)
    write_tensors(neox / "model.safetensors", tensors, {"format": "pt"})
    with pytest.raises(StudyError, match=r"lacks 1 weights .* saved with an adapter in it: merge the adapter"):
        load_model(neox, CPU)


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
    register("m", "hub", neox, "text", out_path=tmp_path / "m.json")
    found = read_json(tmp_path / "m.json")
    assert found["origin"] == origin
    assert set(found["sha256"]) == {"config.json", "tokenizer.json", "model.safetensors"}
    register("m", "local", neox, "text", out_path=tmp_path / "local.json")
    assert read_json(tmp_path / "local.json")["origin"] == {}, "a manifest in a local folder is not ours"
