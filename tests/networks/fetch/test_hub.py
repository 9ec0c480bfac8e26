"""Models from a hub on loopback, with real networks in every format that repositories hold them in."""

import errno
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hub_mirror import TOKEN, Mirror, Trouble
from huggingface_hub import constants, file_download, hf_hub_download
from huggingface_hub.utils import _http
from safetensors import SafetensorError
from tiny_networks import tiny_model
from tokenizers import Tokenizer
from transformers import GPT2Tokenizer, LlamaConfig

from rosetta_scaling.config.families import Family
from rosetta_scaling.networks.fetch import convert as hub_convert
from rosetta_scaling.networks.fetch import transfer as hub_transfer
from rosetta_scaling.networks.fetch.hub import download
from rosetta_scaling.networks.fetch.hub_files import choose
from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.training.architectures import new_model
from rosetta_scaling.networks.training.text import save_tokenizer
from rosetta_scaling.networks.training.tokenizers import train_tokenizer
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json
from rosetta_scaling.store.tensors import read_tensors

WEIGHTS = "model.safetensors"
JUNK = (
    *(
        "tf_model.h5",
        "flax_model.msgpack",
        "rust_model.ot",
        "model.gguf",
        "modeling_new.py",
        "README.md",
        ".gitattributes",
    ),
    *("training_args.bin", "optimizer.pt", "consolidated.safetensors", "model.fp16.safetensors", "adapter.bin"),
    *("onnx/model.onnx", "onnx/config.json", "original/tokenizer.model"),
)


def network(seed: int = 0):
    return tiny_model("gpt_neox", hidden=64, vocabulary=300, seed=seed)


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Folders of one network in every format, and of other networks and mistakes."""
    root = tmp_path_factory.mktemp("saved")
    model, tokenizer = (
        network(),
        train_tokenizer(["a few words of text, 12 times"] * 12, Family(architecture="gpt_neox", vocabulary=300)),
    )

    def folder(name, weights=True):
        (root / name).mkdir()
        save_tokenizer(tokenizer, root / name, 64)
        model.config.save_pretrained(root / name)
        if weights:
            model.save_pretrained(root / name, max_shard_size="200KB" if name == "sharded" else "1GB")
        return root / name

    for name in ("single", "sharded"):
        folder(name)
    (folder("step1000") / WEIGHTS).unlink()
    network(seed=1).save_pretrained(root / "step1000")
    torch.save(model.state_dict(), folder("bin", False) / "pytorch_model.bin")
    write_bin_shards(model.state_dict(), folder("sharded_bin", False), shards=3)
    write_bin_shards(model.state_dict(), folder("sharded_once_bin", False), shards=1)
    both = folder("both")
    torch.save(network(seed=2).state_dict(), both / "pytorch_model.bin")
    for name in JUNK:
        (both / name).parent.mkdir(exist_ok=True)
        (both / name).write_bytes(b"of no use here")
    return root


def write_bin_shards(tensors: dict, folder: Path, shards: int) -> None:
    places = {}
    for i in range(shards):
        name = f"pytorch_model-{i + 1:05d}-of-{shards:05d}.bin"
        names = list(tensors)[i::shards]
        places |= dict.fromkeys(names, name)
        torch.save({name: tensors[name].clone() for name in names}, folder / name)
    write_json(folder / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": places})


@pytest.fixture
def mirror(monkeypatch, tmp_path):
    """A hub that this process takes for the real one; huggingface_hub reads its environment when it is imported."""
    mirror = Mirror()
    monkeypatch.setattr(constants, "ENDPOINT", mirror.endpoint)
    template = mirror.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf/hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf/token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setattr(hub_transfer, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(hub_transfer, "ATTEMPTS", 4)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # what has arrived is written in pieces of this size
    yield mirror
    mirror.close()


@pytest.fixture
def waits(monkeypatch):
    """The seconds that huggingface_hub waits between its own attempts, without the waiting."""
    waits: list[float] = []
    for module in (file_download, _http):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=waits.append, time=time.time))
    return waits


@pytest.fixture
def get(tmp_path):
    """Download to a folder of the test; `get.folder` is where, and what has arrived is in `get.files`."""

    def get(repository="org/net", revision="main"):
        return download(repository, revision, get.folder, tmp_path / "work")

    get.folder, get.files = tmp_path / "models/net", tmp_path / "work/files"
    return get


def assert_same(folder: Path, expected: torch.nn.Module) -> None:
    found, expected = load_model(folder, torch.device("cpu")).state_dict(), expected.state_dict()
    assert found.keys() == expected.keys()
    assert all(found[name].equal(expected[name]) for name in expected)


def assert_refused(get, match: str, *args) -> None:
    """One sentence, and no folder that could be taken for a model."""
    with pytest.raises(StudyError, match=match) as caught:
        get(*args)
    assert "\n" not in str(caught.value)
    assert not get.folder.exists()


# -- what is downloaded ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["single", "sharded", "bin", "sharded_bin", "sharded_once_bin", "both"])
def test_every_format_gives_the_same_network(mirror, saved, get, kind):
    commit = mirror.add("org/net", saved / kind, licence="apache-2.0")
    manifest = get()
    assert_same(get.folder, network())
    assert manifest == read_json(get.folder / "manifest.json")
    expected = {"source": "hub", "repository": "org/net", "revision": "main", "commit": commit}
    assert {key: manifest[key] for key in expected} == expected
    assert manifest["endpoint"] == mirror.endpoint
    assert manifest["licence"] == "apache-2.0"
    there = {path.name: path for path in get.folder.iterdir() if path.name != "manifest.json"}
    found = {name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)} for name, path in there.items()}
    assert manifest["files"] == found
    assert len(model_files(get.folder)) == 2 + (1 if "sharded" not in kind else len(list(get.folder.glob("model-*"))))
    assert not [name for name in there if name.endswith((".bin", ".bin.index.json"))]
    pickles = {path.name: file_sha256(path) for path in (saved / kind).glob("pytorch_model*.bin") if kind != "both"}
    sources = [made["from"] for made in manifest["converted"]]
    assert {name: digest for source in sources for name, digest in source.items()} == pickles
    assert all((get.folder / made["file"]).is_file() for made in manifest["converted"])
    assert not get.files.exists()


def test_nothing_is_fetched_that_is_not_needed(mirror, saved, get):
    mirror.add("org/net", saved / "both")
    get()
    expected = {"api", WEIGHTS, "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert {request.name for request in mirror.requests} == expected
    assert {path.name for path in get.folder.iterdir()} == expected - {"api"} | {"manifest.json"}
    assert all(mirror.asked(name) == [None] for name in expected - {WEIGHTS})
    assert mirror.asked(WEIGHTS) == [None]


def test_a_revision_is_a_branch_or_a_commit_and_its_commit_is_told(mirror, saved, get, tmp_path):
    for revision, kind, seed in (("main", "single", 0), ("step1000", "step1000", 1), ("refs/pr/1", "bin", 0)):
        commit = mirror.add("org/net", saved / kind, revision)
        for asked in (revision, commit):
            folder = tmp_path / "models" / asked
            assert download("org/net", asked, folder, tmp_path / "work")["commit"] == commit
            assert_same(folder, network(seed))
    assert_refused(get, "org/net has no revision 'step2000'.*branch, tag or commit", "org/net", "step2000")


def test_tied_weights_of_a_pickle_are_all_kept(mirror, saved, get, tmp_path):
    """Under both names, in half precision, and also when one is a part of the other or they are in an old format."""
    shutil.copytree(saved / "bin", tmp_path / "tied")
    tensors = {name: tensor.half() for name, tensor in network().state_dict().items()}
    tied = tensors["lm_head.weight"] = tensors["gpt_neox.embed_in.weight"]
    tensors |= {"start": tied[:5], "end": tied[5:], "columns": tied[:, :5], "empty": torch.empty(0)}
    torch.save(tensors, tmp_path / "tied/pytorch_model.bin", _use_new_zipfile_serialization=False)
    mirror.add("org/net", tmp_path / "tied")
    get()
    found = read_tensors(get.folder / WEIGHTS)
    assert found.keys() == tensors.keys()
    assert all(found[name].equal(tensors[name]) and found[name].dtype == tensors[name].dtype for name in tensors)


@pytest.mark.parametrize("left_out", [None, "lm_head.weight"])
def test_a_network_that_ties_its_embeddings_is_loaded(mirror, saved, get, tmp_path, left_out):
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = new_model(LlamaConfig(vocab_size=300, tie_word_embeddings=True, **sizes), seed=3)
    folder = shutil.copytree(saved / "bin", tmp_path / "tied")
    model.config.save_pretrained(folder)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name != left_out}
    torch.save(tensors, folder / "pytorch_model.bin")
    mirror.add("org/net", folder)
    get()
    assert_same(get.folder, model)


def test_a_tokenizer_of_an_older_format_is_rewritten(mirror, saved, get, tmp_path):
    folder = shutil.copytree(saved / "bin", tmp_path / "old")
    Tokenizer.from_file(str(folder / "tokenizer.json")).model.save(str(folder))
    (folder / "tokenizer.json").unlink()
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True})
    mirror.add("org/net", folder)
    manifest = get()
    asked = {request.name for request in mirror.requests}
    assert asked >= {"vocab.json", "merges.txt"}
    assert len(mirror.requests) == len(asked) + 1  # transformers asks nothing; the weights are redirected
    text = "few words,  of\ttext 12"
    expected = GPT2Tokenizer.from_pretrained(folder)(text)["input_ids"]
    assert Tokenizer.from_file(str(get.folder / "tokenizer.json")).encode(text).ids == expected
    assert manifest["converted"][1]["file"] == "tokenizer.json"
    assert "tokenizer.json" in manifest["files"]
    (folder / "vocab.json").write_text("{}")
    mirror.add("org/net", folder, "broken")
    get.folder = tmp_path / "broken"
    assert_refused(get, "cannot make a tokenizer.json.*; install sentencepiece, or take", "org/net", "broken")


def write_index(folder, *names):
    write_json(folder / "model.safetensors.index.json", {"weight_map": dict(enumerate(names))})


MISTAKES = {
    "holds no config.json": lambda folder: (folder / "config.json").unlink(),
    r"holds no model.safetensors or pytorch_model.bin \(but model.gguf\)": lambda folder: (folder / WEIGHTS).rename(
        folder / "model.gguf"
    ),
    "holds an adapter of another model.*merge": lambda folder: (
        (folder / WEIGHTS).rename(folder / "adapter_model.safetensors"),
        (folder / "adapter_config.json").write_text("{}"),
    ),
    "holds no tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "names model-1.safetensors, but .safetensors files of the same": lambda folder: (
        (folder / WEIGHTS).rename(folder / "model-2.safetensors"),
        write_index(folder, "model-1.safetensors", "model-2.safetensors"),
    ),
    "names code.py, but": lambda folder: (
        (folder / WEIGHTS).rename(folder / "code.py"),
        write_index(folder, "code.py"),
    ),
    "names no shards": lambda folder: ((folder / WEIGHTS).unlink(), write_index(folder)),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_what_is_no_model_is_refused_before_it_is_fetched(mirror, saved, get, tmp_path, message):
    shutil.copytree(saved / "single", tmp_path / "mistake")
    MISTAKES[message](tmp_path / "mistake")
    mirror.add("org/net", tmp_path / "mistake")
    assert_refused(get, message)
    assert {request.name for request in mirror.requests} <= {"api", "model.safetensors.index.json"}


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_pickle_with_code_is_refused_and_not_run(mirror, saved, get, tmp_path):
    ran = tmp_path / "ran"
    for name, save in {"new": torch.save, "old": lambda value, path: path.write_bytes(pickle.dumps(value, 2))}.items():
        folder = shutil.copytree(saved / "bin", tmp_path / name)
        save({"weight": Evil(ran)}, folder / "pytorch_model.bin")
        mirror.add("org/net", folder, name)
        assert_refused(get, r"pytorch_model.bin cannot be read as a table of tensors alone \(", "org/net", name)
    torch.save({"model": network().state_dict()}, folder / "pytorch_model.bin")
    mirror.add("org/net", folder)
    assert_refused(get, "pytorch_model.bin holds other things than tensors")
    assert not ran.exists()
    os.system(pickle.loads(pickle.dumps(Evil(ran))) or "")
    assert ran.exists()  # it would have


# -- trouble on the way ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tokenizer.json", WEIGHTS])
@pytest.mark.parametrize("reset", [False, True])
def test_a_broken_download_continues_where_it_broke_off(mirror, saved, get, waits, name, reset):
    mirror.add("org/net", saved / "single")
    mirror.trouble[name] = [Trouble(after=1000, reset=reset), Trouble(after=1500, reset=reset)]
    get()
    ranges = mirror.asked(name)
    assert len(ranges) == 3
    assert ranges[0] is None
    assert reset or ranges[1:] == ["bytes=1000-", "bytes=2500-"]  # a reset may overtake bytes that were sent before it
    assert (get.folder / name).read_bytes() == (saved / "single" / name).read_bytes()


def test_what_has_arrived_is_kept_for_the_next_run(mirror, saved, get, waits):
    mirror.add("org/net", saved / "sharded")
    second = sorted(path.name for path in (saved / "sharded").glob("model-*"))[1]
    mirror.trouble[second] = [Trouble(after=1000)] + [Trouble(after=0)] * 100
    assert_refused(get, rf"{second} of org/net cannot be fetched from {mirror.endpoint} \(.*, attempt 4\); run again")
    before = len(mirror.requests)
    mirror.trouble.clear()
    get()
    assert_same(get.folder, network())
    asked = {request.name: request.range for request in mirror.requests[before:] if request.name != "api"}
    assert asked.pop(second) == "bytes=1000-"
    assert set(asked.values()) <= {None}
    assert "config.json" not in asked


def test_a_connection_that_breaks_often_but_brings_bytes_is_not_given_up(mirror, saved, get, waits):
    """huggingface_hub itself takes up a connection that ends, but not one whose server fails."""
    mirror.add("org/net", saved / "single")
    mirror.trouble[WEIGHTS] = [Trouble(after=10_000), Trouble(after=10_000), Trouble(503), Trouble(503)] * 4
    get()
    assert len(mirror.asked(WEIGHTS)) == 17
    assert_same(get.folder, network())


def test_progress_is_told_of_all_files_together(mirror, saved, get, waits, caplog):
    caplog.set_level(logging.INFO)
    mirror.add("org/net", saved / "sharded")
    mirror.trouble[min(path.name for path in (saved / "sharded").glob("model-*"))] = [Trouble(after=100_000)]
    manifest = get()
    lines = [line for line in caplog.messages if line.startswith("org/net: ") and "%" in line]
    size = f"{sum(file['bytes'] for file in manifest['files'].values()):,}"
    assert lines[-1].startswith(f"org/net: 100% ({size} of {size}), 0 s left")


def test_a_server_without_ranges_sends_all_of_it_again(mirror, saved, get, waits):
    mirror.add("org/net", saved / "single")
    mirror.obeys_ranges = False
    mirror.trouble[WEIGHTS] = [Trouble(after=100_000)]
    get()
    assert mirror.asked(WEIGHTS) == [None, "bytes=100000-"]
    assert_same(get.folder, network())


@pytest.mark.parametrize("name", ["api", "config.json", WEIGHTS])
@pytest.mark.parametrize(
    ("trouble", "of_the_library"),
    [(Trouble(503), []), (Trouble(429), [1, 2, 4]), (Trouble(after=0, stall=True), [1, 1, 1])],
    ids=[503, 429, "silent"],
)
@pytest.mark.slow(0.3)
def test_a_busy_or_silent_server_is_asked_again_later(
    mirror, saved, get, waits, monkeypatch, name, trouble, of_the_library
):
    """By huggingface_hub where it does so, which is within a file and unless the server itself fails; else by us."""
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    ours = []
    monkeypatch.setattr(hub_transfer, "time", SimpleNamespace(sleep=ours.append))
    mirror.add("org/net", saved / "single")
    mirror.trouble[name] = [trouble] * 3
    get()
    assert_same(get.folder, network())
    if name == "api" or not of_the_library:
        assert (ours, waits) == ([0.01, 0.02, 0.04], [])
    else:
        assert (ours, waits) == ([], of_the_library)
    monkeypatch.setattr(hub_transfer, "ATTEMPTS", 2)
    mirror.trouble[name] = [trouble] * 100
    shutil.rmtree(get.folder)
    reason = f"HTTP {trouble.status}" if trouble.status else "timed out"
    assert_refused(get, rf"cannot be fetched from {mirror.endpoint} \({reason}, attempt 2\)")


def test_a_server_that_tells_how_long_to_wait_is_obeyed(mirror, saved, get, waits):
    mirror.add("org/net", saved / "single")
    mirror.trouble[WEIGHTS] = [Trouble(429, wait=30)]
    get()
    assert waits == [31]  # huggingface_hub adds a second
    assert_same(get.folder, network())


def test_a_hub_that_is_not_there_is_named(mirror, get):
    mirror.close()
    assert_refused(get, rf"org/net cannot be fetched from {mirror.endpoint} \(.*refused")


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_damaged_bytes_are_fetched_once_more_then_refused(mirror, saved, get, name):
    mirror.add("org/net", saved / "single")
    mirror.trouble[name] = [Trouble(corrupt=True)] * 3
    expected = mirror.expected("org/net", name)
    found = rf"digest (?!{expected})[0-9a-f]{{{len(expected)}}}"
    assert_refused(get, rf"{name} of org/net arrives damaged.*{found}, where [\d,]+ with {expected} are expected")
    assert mirror.asked(name) == [None] * 2
    get()
    assert mirror.asked(name) == [None] * 4
    assert (get.folder / name).read_bytes() == (saved / "single" / name).read_bytes()


def test_a_damaged_part_of_an_earlier_run_is_replaced(mirror, saved, get):
    mirror.add("org/net", saved / "single")
    get.files.mkdir(parents=True)
    (get.files / WEIGHTS).write_bytes(b"\0" * 1000)
    (get.files / "config.json").write_bytes(b"\0" * 10**6)
    get()
    assert mirror.asked(WEIGHTS) == ["bytes=1000-", None]
    assert mirror.asked("config.json") == [None]
    assert_same(get.folder, network())


def test_a_branch_that_moves_between_two_runs_is_not_mixed(mirror, saved, get, waits):
    mirror.add("org/net", saved / "both")
    mirror.trouble[WEIGHTS] = [Trouble(after=1000)] + [Trouble(after=0)] * 100
    assert_refused(get, "cannot be fetched")
    commit = mirror.add("org/net", saved / "step1000")
    (get.files / "merges.txt").write_text("of the commit before")
    mirror.trouble.clear()
    assert get()["commit"] == commit
    assert_same(get.folder, network(seed=1))
    assert not (get.folder / "merges.txt").exists()


def test_a_full_disk_is_told_before_and_while_it_fills(mirror, saved, get, monkeypatch):
    """/dev/full is a file on a full disk. A network of an old format needs its room twice."""
    for kind in ("single", "bin"):
        mirror.add("org/net", saved / kind, kind)
    used = namedtuple("used", "total used free")
    total = sum(path.stat().st_size for path in (saved / "single").iterdir())
    weights = (saved / "bin/pytorch_model.bin").stat().st_size
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: used(0, 0, total - 1))
        assert_refused(
            get, rf"needs {total:,} bytes more on the disk of .*, where {total - 1:,} are free", "org/net", "single"
        )
        assert mirror.asked(WEIGHTS) == []
        patch.setattr(shutil, "disk_usage", lambda _: used(0, 0, 2 * weights))
        assert_refused(get, rf"org/net needs [\d,]+ bytes more.*where {2 * weights:,} are free", "org/net", "bin")
        patch.setattr(shutil, "disk_usage", lambda _: used(0, 0, 10**9))

        def full(*_):
            raise SafetensorError(f"Error while serializing: I/O error: No space left (os error {errno.ENOSPC})")

        patch.setattr(hub_convert, "to_safetensors", full)
        assert_refused(get, rf"org/net needs {weights:,} bytes more.*where 1,000,000,000 are free", "org/net", "bin")
    (get.files / WEIGHTS).symlink_to("/dev/full")
    assert_refused(get, r"org/net needs [\d,]+ bytes more.*make room there or set cache_dir", "org/net", "single")
    (get.files / WEIGHTS).unlink()
    get("org/net", "single")
    assert_same(get.folder, network())


# -- who may have it -------------------------------------------------------------------------------------------------


def test_a_gated_model_needs_its_licence_and_a_token(mirror, saved, get, monkeypatch):
    mirror.add("org/net", saved / "single", gated=True)
    page = re.escape(f"{mirror.endpoint}/org/net")
    assert_refused(get, rf"org/net is gated and HF_TOKEN is not set; accept its licence at {page}, set HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    assert_refused(get, "org/net is gated and your token was refused")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    mirror.requests.clear()
    get()
    assert {request.token for request in mirror.requests if not request.on_cdn} == {TOKEN}
    assert {request.token for request in mirror.requests if request.on_cdn} == {None}


def test_a_model_that_is_not_there_or_private_is_named(mirror, saved, get, monkeypatch):
    assert_refused(get, "'a/b/c' cannot be a model on the hub; a name like owner/model is expected", "a/b/c")
    assert mirror.requests == []
    mirror.add("org/net", saved / "single", private=True)
    for name in ("org/net", "org/nothing"):
        expected = f"there is no model {name} at {mirror.endpoint}, or it is private and"
        monkeypatch.delenv("HF_TOKEN", raising=False)
        assert_refused(get, f"{expected} HF_TOKEN is not set; correct the name", name)
        monkeypatch.setenv("HF_TOKEN", "hf_of_another")
        assert_refused(get, f"{expected} your token was refused", name)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    get()
    assert_same(get.folder, network())


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        (Trouble(status=401), r"refuses org/net at main \(HTTP 401 trouble\); HF_TOKEN is not set: set"),
        (Trouble(status=403), r"refuses org/net at main \(HTTP 403 trouble\); HF_TOKEN is not set: set"),
        (Trouble(status=404), r"refuses org/net at main \(HTTP 404 trouble\); see http"),
        (Trouble(status=200), "does not tell the commit and the size and digest"),
    ],
    ids=[401, 403, 404, 200],
)
def test_other_refusals_are_told_at_once(mirror, saved, get, trouble, message):
    mirror.add("org/net", saved / "single")
    mirror.trouble["api"] = [trouble]
    assert_refused(get, message)
    assert len(mirror.requests) == 1


def test_a_mirror_without_digests_is_refused(mirror, saved, get):
    mirror.add("org/net", saved / "single")
    mirror.tells_digests = False
    assert_refused(get, f"{mirror.endpoint} answers about org/net, but does not tell .*set HF_ENDPOINT")


@pytest.mark.parametrize(
    ("variable", "value", "kind"),
    [
        ("token", "hf_sec\x0bret", "LocalProtocolError"),
        ("token", "hf_sécret", "UnicodeEncodeError"),
        ("endpoint", "gopher://hub", "UnsupportedProtocol"),
        ("endpoint", "http://hub:port", "InvalidURL"),
    ],
)
def test_a_setting_that_makes_no_request_is_told_without_the_token(mirror, get, monkeypatch, variable, value, kind):
    if variable == "token":
        monkeypatch.setenv("HF_TOKEN", value)
    else:
        monkeypatch.setattr(constants, "ENDPOINT", value)
    expected = re.escape(f"{constants.ENDPOINT} cannot be asked for org/net ({kind}); correct HF_ENDPOINT, HF_TOKEN or")
    assert_refused(get, f"^{expected}")


# -- what is there already -------------------------------------------------------------------------------------------


def test_a_folder_that_is_there_needs_no_hub(mirror, saved, get, monkeypatch):
    mirror.add("org/net", saved / "single")
    manifest = get()
    mirror.requests.clear()
    assert get() == manifest
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert get() == manifest
    assert mirror.requests == []
    with pytest.raises(StudyError, match="holds org/net at main, but org/net at step1 is expected there"):
        get("org/net", "step1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    (get.folder / WEIGHTS).write_bytes(b"truncated")
    (get.folder / "junk").write_text("")
    assert get() == manifest
    assert_same(get.folder, network())
    assert not (get.folder / "junk").exists()


def test_an_empty_folder_is_filled(mirror, saved, get):
    """Snakemake makes the folders of outputs before a job begins."""
    mirror.add("org/net", saved / "single")
    get.folder.mkdir(parents=True)
    get()
    assert_same(get.folder, network())


@pytest.mark.parametrize("same_disk", [True, False])
def test_the_cache_of_huggingface_hub_is_used(mirror, saved, get, monkeypatch, same_disk):
    """With the hub only what is missing is fetched; without it, all must be there. The cache is never changed."""
    if not same_disk:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "another disk")))
    commit = mirror.add("org/net", saved / "single")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    cache = Path(constants.HF_HUB_CACHE)
    offline = (
        f"HF_HUB_OFFLINE is set and org/net at main is not whole in the cache {re.escape(str(cache))}; download it"
    )
    assert_refused(get, offline)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in (WEIGHTS, "config.json"):
        hf_hub_download("org/net", name)
    blobs = {path.name: path.read_bytes() for path in cache.rglob("blobs/*")}
    mirror.requests.clear()
    assert get()["endpoint"] == mirror.endpoint
    assert {request.name for request in mirror.requests if request.method == "GET"} == {
        *("api", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
    }
    for name in ("tokenizer.json", "tokenizer_config.json"):
        hf_hub_download("org/net", name)
    shutil.rmtree(get.folder)
    mirror.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for revision in ("main", commit):
        manifest = get("org/net", revision)
        assert (manifest["commit"], manifest["endpoint"], manifest["licence"]) == (commit, None, None)
        assert_same(get.folder, network())
        shutil.rmtree(get.folder)
    weights = next(cache.rglob(WEIGHTS)).resolve()
    for damaged in (bytes(weights.stat().st_size), weights.read_bytes()[:1000]):
        weights.write_bytes(damaged)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert_refused(get, offline)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        get()
        assert_same(get.folder, network())
        shutil.rmtree(get.folder)
        blobs[weights.name] = damaged
        assert blobs.items() <= {path.name: path.read_bytes() for path in cache.rglob("blobs/*")}.items()


def test_two_processes_download_once(mirror, saved, get):
    mirror.add("org/net", saved / "single")
    results = []
    threads = [threading.Thread(target=lambda: results.append(get())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert mirror.asked(WEIGHTS) == [None]


# -- as the workflow runs it: a process of its own, told by its environment ------------------------------------------

CODE = """
import sys
from huggingface_hub import constants
from rosetta_scaling.networks.fetch import hub
constants.DOWNLOAD_CHUNK_SIZE = 500
print(hub.download(*sys.argv[1:])["commit"])
"""


def start(mirror, get, **environment):
    environment = os.environ | {"HF_ENDPOINT": mirror.endpoint, "HF_HUB_DISABLE_TELEMETRY": "1"} | environment
    command = [sys.executable, "-c", CODE, "org/net", "main", get.folder, get.files.parent]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.slow(0.1)
def test_the_environment_tells_endpoint_token_cache_and_offline(mirror, saved, get, tmp_path):
    commit = mirror.add("org/net", saved / "single", gated=True)
    home = {"HF_HOME": str(tmp_path / "home")}
    out, err = start(mirror, get, HF_HUB_OFFLINE="1", **home).communicate()
    assert "HF_HUB_OFFLINE is set" in err.splitlines()[-1]
    assert str(tmp_path / "home/hub") in err.splitlines()[-1]
    assert mirror.requests == []
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home/token").write_text(TOKEN)
    out, err = start(mirror, get, **home).communicate()
    assert out.strip() == commit, err
    assert_same(get.folder, network())
    mirror.requests.clear()
    out, err = start(mirror, get, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "empty")).communicate()
    assert out.strip() == commit, err
    assert mirror.requests == []


@pytest.mark.slow(0.1)
def test_a_killed_download_counts_for_nothing_and_continues(mirror, saved, get, tmp_path):
    mirror.add("org/net", saved / "single")
    mirror.trouble[WEIGHTS] = [Trouble(after=300_000, stall=True)]
    process = start(mirror, get, HF_HOME=str(tmp_path / "home"))
    try:
        deadline = time.monotonic() + 60
        while hub_transfer.size(get.files / WEIGHTS) < 200_000 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    assert not get.folder.exists()
    arrived = hub_transfer.size(get.files / WEIGHTS)
    assert 200_000 <= arrived <= 300_000
    out, err = start(mirror, get, HF_HOME=str(tmp_path / "home")).communicate()
    assert out.strip() == mirror.repositories["org/net"].revisions["main"], err
    assert mirror.asked(WEIGHTS) == [None, f"bytes={arrived}-"]
    assert mirror.asked("config.json") == [None]
    assert_same(get.folder, network())


def test_a_pipeline_of_diffusers_is_left_to_the_user():
    told = r"owner/DiT is a pipeline of diffusers, .*`hf download owner/DiT --local-dir FOLDER` .* source: local"
    with pytest.raises(StudyError, match=told):
        choose("owner/DiT", ["model_index.json", "README.md"])
