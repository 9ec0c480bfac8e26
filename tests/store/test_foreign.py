"""Whatever another library raises on broken files becomes one sentence with a cause and a remedy."""

import gzip
import json
import shutil
import traceback
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models

from rosetta_scaling.companions.depth.chinchilla import read_runs
from rosetta_scaling.corpora import documents as corpus
from rosetta_scaling.networks.audit.fingerprints import fingerprint
from rosetta_scaling.networks.fetch.convert import to_safetensors
from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.loading import load_model, untrained_model
from rosetta_scaling.networks.model_sizes import folder_size
from rosetta_scaling.store import tables as store
from rosetta_scaling.store.digests import require_unchanged
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explained, explaining, is_foreign
from rosetta_scaling.units.tokenizers import load_tokenizer

CPU = torch.device("cpu")
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 548105171\n"
TINY = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A network as save_pretrained writes it."""
    folder = tmp_path_factory.mktemp("networks") / "whole"
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**TINY)).save_pretrained(folder)
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def network(whole, tmp_path) -> Path:
    """A copy of it, to be broken."""
    return shutil.copytree(whole, tmp_path / "network")


def configure(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def sentence(function, *arguments) -> str:
    """What the user is told; it is one line, and nothing is to be deleted."""
    with pytest.raises(StudyError) as told:
        function(*arguments)
    text = str(told.value)
    assert "\n" not in text
    assert "delete" not in text
    return text


def load(folder: Path):
    return load_model(folder, CPU)


def initialise(folder: Path):
    return untrained_model(folder, 0, CPU)


QUANTISED = {
    "gptq": {"bits": 4},
    "awq": {"bits": 4},
    "bitsandbytes": {"load_in_4bit": True},
    "compressed-tensors": {},
    "hqq": {},
    "quanto": {},
}


@pytest.mark.parametrize("method", QUANTISED)
def test_a_quantised_network_without_its_package(network, method):
    configure(network, quantization_config={"quant_method": method} | QUANTISED[method])
    told = sentence(load, network)
    assert told.startswith(f"model folder {network}: it is quantised with {method}, which needs what is not here (")
    assert told.endswith("): take the unquantised repository")


def test_a_quantised_network_that_lacks_nothing_but_its_method(network):
    configure(network, quantization_config={})
    assert "it is quantised with an unnamed method, which needs" in sentence(load, network)


def rename(folder: Path, name, **more) -> None:
    """Write the weights anew under other names, and `more` beside them."""
    tensors = load_file(folder / "model.safetensors")
    save_file(
        {name(key): value for key, value in tensors.items()} | more, folder / "model.safetensors", {"format": "pt"}
    )


@pytest.mark.parametrize("method", ["fp8", "mxfp4", "modelopt", "unheard-of"])
def test_plain_weights_are_read_as_they_are_whatever_method_is_named(network, method):
    expected = load(network).state_dict()
    configure(network, quantization_config={"quant_method": method})
    assert all(value.equal(expected[name]) for name, value in load(network).state_dict().items())


def test_ternary_weights_are_no_weights_of_other_shapes(network):
    configure(network, quantization_config={"quant_method": "bitnet"})
    told = sentence(load, network)  # the second by older versions of transformers
    assert "it is quantised with bitnet, which needs what is not here" in told or "lacks 14 weights" in told


DOWN = "model.layers.0.mlp.down_proj"


@pytest.mark.parametrize("name", ["weight_scale_inv", "weight_scale", "lora_A.weight", "ia3_l", "bias"])
def test_what_changes_the_meaning_of_a_weight_is_not_ignored(network, name):
    """A checkpoint of 8 bits without its quantization_config would be read without its scales."""
    rename(network, str, **{f"{DOWN}.{name}": torch.ones(16)})
    told = sentence(load, network)
    assert f"holds {DOWN}.{name}, which LlamaForCausalLM does not use and which changes what its weights mean" in told


def test_heads_that_are_not_read_may_lie_in_a_checkpoint(network):
    rename(network, str, **{"value_head.weight": torch.ones(16), "model.layers.0.self_attn.bias": torch.ones(16)})
    load(network)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (lambda key: f"_orig_mod.{key}", "it holds _orig_mod.lm_head.weight, so it was saved inside a wrapper"),
        (lambda key: key.replace("layers.0.", "layers.0._fsdp_wrapped_module."), "it holds model.layers.0._fsdp_wr"),
        (
            lambda key: key.replace("mlp.", "mlp._orig_mod."),
            "it holds model.layers.0.mlp._orig_mod.down_proj.weight, so",
        ),
        (lambda key: key.replace("down_proj.weight", "down_proj.qweight"), f"it holds {DOWN}.qweight in its place, as"),
        (
            lambda key: key.replace("down_proj.weight", "down_proj.weight_orig"),
            f"it holds {DOWN}.weight_orig in its pl",
        ),
        (lambda key: key.replace("lm_head", "head"), "expected a whole network, a causal language model with its head"),
    ],
)
def test_weights_under_other_names(network, name, told):
    rename(network, name)
    assert told in sentence(load, network)


@pytest.mark.parametrize("read", [load, fingerprint])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_git_lfs_pointer(network, name, read):
    (network / name).write_text(POINTER)
    if (read, name) == (fingerprint, "config.json"):
        assert len(read(network))  # it reads the weights alone
        return
    assert sentence(read, network) == (
        f"model folder {network}: {name} is a git-lfs pointer of 134 bytes, not the file itself: run `git lfs pull` in "
        f"{network}"
    )


def test_a_tokenizer_that_is_a_git_lfs_pointer(network):
    (network / "tokenizer.json").write_text(POINTER)
    told = sentence(load_tokenizer, network / "tokenizer.json")
    assert told.startswith("tokenizer.json is a git-lfs pointer of 134 bytes, not the file itself: run `git lfs pull`")


def test_a_tokenizer_that_is_none(network):
    (network / "tokenizer.json").write_text("{}")
    assert "not a tokenizer that can be read" in sentence(load_tokenizer, network / "tokenizer.json")


@pytest.mark.parametrize("read", [load, fingerprint])
@pytest.mark.parametrize("kept", [5000, 100])
def test_cut_weights(network, kept, read):
    weights = network / "model.safetensors"
    whole, header = weights.stat().st_size, 8 + int.from_bytes(weights.read_bytes()[:8], "little")
    weights.write_bytes(weights.read_bytes()[:kept])
    expected = whole if kept > header else header
    assert sentence(read, network) == (
        f"model folder {network}: model.safetensors is cut: it has {kept:,} of {expected:,} bytes: write or download "
        "it again"
    )


def test_a_network_in_the_cache_is_made_anew(network):
    (network / "manifest.json").write_text("{}")
    (network / "model.safetensors").write_bytes(b"")
    assert sentence(load, network).endswith(
        "(if it lies in the cache of this project, move the folder away and run again: it is made anew)"
    )


@pytest.mark.parametrize("read", [load, fingerprint])
def test_weights_with_something_behind_them(network, read):
    with open(network / "model.safetensors", "ab") as file:
        file.write(b"junk")
    assert sentence(read, network) == (
        f"model folder {network}: model.safetensors has 4 bytes more than its header says: write or download it again"
    )


@pytest.mark.parametrize("read", [load, fingerprint])
def test_a_damaged_index_of_shards(network, read):
    (network / "model.safetensors").rename(network / "model-00001-of-00001.safetensors")
    (network / "model.safetensors.index.json").write_text("{")
    told = sentence(read, network)
    assert f"model folder {network} cannot be loaded (model.safetensors.index.json: Expecting property name" in told
    assert told.endswith("write or download it again")


@pytest.mark.parametrize("read", [load, fingerprint])
@pytest.mark.parametrize("content", [b"", b"<html>404 not found</html>", (2**62).to_bytes(8, "little") + b"{}"])
def test_weights_that_are_no_safetensors(network, content, read):
    (network / "model.safetensors").write_bytes(content)
    assert sentence(read, network) == (
        f"model folder {network}: model.safetensors ({len(content)} bytes) does not begin as a safetensors file does: "
        "write or download it again"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_hidden_layers": "2"}, "num_hidden_layers: expected int, got str (value: '2')"),
        ({"hidden_size": 16.5}, "hidden_size: expected int, got float (value: 16.5)"),
        ({"hidden_size": None}, "hidden_size: expected int, got NoneType (value: None)"),
        ({"num_attention_heads": 3}, "The hidden size (16) is not a multiple of the number of attention heads (3)"),
    ],
)
@pytest.mark.parametrize("read", [load, initialise])
def test_a_setting_that_the_architecture_does_not_take(network, read, changes, reason):
    configure(network, **changes)
    told = sentence(read, network)
    assert f"config.json holds a value that this architecture does not take ({reason}" in told.replace(
        "ValueError: ", ""
    )
    assert told.endswith("correct it there")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hidden_act": "nope"}, "KeyError: 'nope'"),
        ({"num_attention_heads": 0}, "ZeroDivisionError: "),
        ({"pad_token_id": 99}, "AssertionError: Padding_idx must be within num_embeddings"),
        ({"model_type": ["llama"]}, "TypeError: unhashable type: 'list'"),
        ({"dtype": "float7"}, "AttributeError: module 'torch' has no attribute 'float7'"),
    ],
)
@pytest.mark.parametrize("read", [load, initialise])
def test_any_other_exception_names_its_kind_and_points_to_the_configuration(network, read, changes, reason):
    configure(network, **changes)
    told = sentence(read, network)
    assert f"model folder {network} cannot be loaded ({reason}" in told
    assert told.endswith("; a value in its config.json may be wrong: write or download it again")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[1]", "config.json holds a list, where an object was expected: write or download it again"),
        (b'{"model', "config.json is no JSON, or is cut: write or download it again"),
        (b"\xff\xfe\x00", "config.json is no JSON, or is cut: write or download it again"),
    ],
)
@pytest.mark.parametrize("read", [load, initialise, folder_size])
def test_a_configuration_that_is_none(network, read, content, told):
    (network / "config.json").write_bytes(content)
    assert sentence(read, network) == f"model folder {network}: {told}"


def test_a_plan_refuses_sizes_that_are_no_numbers(network):
    configure(network, num_hidden_layers="2")
    assert sentence(folder_size, network) == (
        f"{network}/config.json is no configuration of a llama (num_hidden_layers: expected int, got str "
        "(value: '2')); correct it, or choose another network"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": None}, "config.json names no model_type that transformers knows: write or download it again"),
        ({"model_type": "nope"}, "does not know the model type 'nope': take another network"),
        (
            {"model_type": "nope", "auto_map": {"AutoConfig": "x.Y", "AutoModelForCausalLM": "x.Z"}},
            "it needs Python code of its own, which this project never runs: take another network",
        ),
        ({"vocab_size": 60}, "its weights have other shapes than its config.json says"),
    ],
)
def test_networks_that_cannot_be_read_here(network, changes, told):
    configure(network, **changes)
    assert told in sentence(load, network)


@pytest.mark.parametrize(("changes", "name"), [({"num_hidden_layers": -1}, "layers"), ({"hidden_size": -8}, "hidden")])
def test_a_plan_refuses_negative_sizes(network, changes, name):
    configure(network, **changes)
    assert f"as a number ({name}), a whole number from 1 on was expected: correct it" in sentence(folder_size, network)


def test_weights_in_a_pickle_only(network):
    (network / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(2)}, network / "pytorch_model.bin")
    told = sentence(model_files, network)
    assert "holds its weights in pytorch_model.bin only, a pickle that can run code and is not read" in told


def test_an_index_of_shards_without_names(network):
    (network / "model.safetensors").rename(network / "model-00001-of-00001.safetensors")
    (network / "model.safetensors.index.json").write_text("{}")
    assert "names no files; expected an index as save_pretrained writes it: write or" in sentence(load, network)


def test_a_network_of_text_and_images(tmp_path):
    """It is asked for its neurons on tokens alone, and misses the image."""
    see = {key: TINY[key] for key in TINY if key != "vocab_size"} | {"image_size": 8, "patch_size": 4}
    settings = transformers.CLIPConfig(text_config=TINY, vision_config=see, projection_dim=8)
    transformers.CLIPModel(settings).save_pretrained(tmp_path / "clip")
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(tmp_path / "clip/tokenizer.json"))
    assert "CLIPModel does not read tokens alone (AttributeError: " in sentence(load, tmp_path / "clip")


def test_a_pickle_that_is_damaged(tmp_path):
    torch.save({"a": torch.zeros(200)}, tmp_path / "pytorch_model.bin")
    raw = (tmp_path / "pytorch_model.bin").read_bytes()
    for broken in (b"", raw[:300], b"\x80\x04K\x01", b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR.", b"garbage"):
        (tmp_path / "pytorch_model.bin").write_bytes(broken)
        told = sentence(to_safetensors, tmp_path, ["pytorch_model.bin"])
        assert "cannot be read as a table of tensors alone" in told or "holds other things than tensors" in told


def read_corpus(path: Path, kind: str = "jsonl"):
    settings = SimpleNamespace(kind=kind, path=str(path), text_column="text", domain_column=None, domains=None)
    return list(corpus.read_originals(settings))


def test_a_corpus_whose_reader_raises_anything(tmp_path):
    endless = tmp_path / ("n" * 300)
    assert f"corpus: {endless} cannot be read (" in sentence(read_corpus, endless)
    deep = tmp_path / "deep.jsonl"
    deep.write_text("[" * 100_000)
    assert "corpus: deep.jsonl:1 is JSON that Python does not read (" in sentence(read_corpus, deep)
    damaged = tmp_path / "damaged.jsonl.gz"
    raw = bytearray(gzip.compress(b'{"text": "some text"}\n' * 50))
    raw[12:20] = b"\xff" * 8
    damaged.write_bytes(raw)
    assert "if the file is damaged, fetch it again" in sentence(read_corpus, damaged)


def test_a_table_of_the_user_is_not_to_be_deleted(tmp_path):
    (tmp_path / "runs.csv").write_bytes(b'width,depth\n1,2\n"\xff')
    assert "cannot be read as a table" in sentence(read_runs, tmp_path / "runs.csv")


def test_files_of_the_user_that_changed_are_not_to_be_deleted(network):
    told = sentence(require_unchanged, network, {"config.json": "0" * 64}, True)
    assert "config.json is damaged or was changed" in told
    assert f"touch {network}/*" in told
    with pytest.raises(StudyError, match=f"delete the folder {network} and run the study again"):
        require_unchanged(network, {"config.json": "0" * 64})  # one that this project wrote


def test_what_this_project_wrote_may_be_deleted(tmp_path):
    (tmp_path / "table.parquet").write_bytes(b"PAR1")
    with pytest.raises(StudyError, match=r"damaged or truncated.*delete it and run the study again"):
        store.read_table(tmp_path / "table.parquet")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, torch.OutOfMemoryError])
def test_interrupts_and_lack_of_memory_go_on_as_they_are(error):
    with pytest.raises(error), explaining(lambda found: "never said"):
        raise error


def test_lack_of_disk_goes_on_as_it_is():
    full = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left"), explaining(lambda found: "never said"):
        raise full


def test_a_full_disk_is_told_as_such_where_numpy_writes_to_it():
    with pytest.raises(OSError, match="requested and") as error:
        np.zeros(10**6).tofile("/dev/full")
    assert explained(error.value).startswith("the disk is full; make room")


def test_a_panic_of_a_library_in_rust_is_explained():
    panic = type("PanicException", (BaseException,), {})
    assert is_foreign(panic("index out of bounds"))
    with pytest.raises(StudyError, match="it panicked"), explaining(lambda found: "it panicked"):
        raise panic


def test_the_cause_stays(network):
    (network / "model.safetensors").write_bytes(b"")
    with pytest.raises(StudyError) as told:
        load(network)
    assert "SafetensorError" in "".join(traceback.format_exception(told.value))
