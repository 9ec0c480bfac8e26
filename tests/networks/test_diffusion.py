"""Generators of diffusers, of real classes and tiny random sizes: what is read of them, at which noise."""

import importlib.util
import json
import shutil

import diffusers
import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tiny_generators import SIZES, dit, write_dit, write_sana

from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.opening import open_inputs
from rosetta_scaling.activations.rotated import PreActivations, RotatedBeforeNonlinearity
from rosetta_scaling.config.networks import Networks
from rosetta_scaling.corpora.pixels import encode
from rosetta_scaling.networks.audit.fingerprints import fingerprint
from rosetta_scaling.networks.diffusion import mixture
from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.loading import load_model, untrained_model, write_untrained
from rosetta_scaling.networks.manifests import describe, register
from rosetta_scaling.networks.mlps import find_mlps
from rosetta_scaling.networks.model_sizes import folder_size
from rosetta_scaling.networks.preprocessing import Preprocessing
from rosetta_scaling.networks.sizes import size_of_model
from rosetta_scaling.networks.towers import grid_of
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json

CPU, LEVEL = torch.device("cpu"), 0.25
ACTS = ("gelu-approximate", "gelu", "geglu", "geglu-approximate", "swiglu", "linear-silu")
OWN = 4  # patches along a side
IMAGES = [np.random.default_rng(i).integers(0, 256, (16, 16, 3)).astype(np.uint8) for i in range(5)]
SAMPLES = pd.DataFrame({"passage": range(5), "image": [encode(image) for image in IMAGES], "side": OWN})


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_dit(tmp_path_factory.mktemp("generator") / "pipeline")


@pytest.fixture
def pipeline(original, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(original, tmp_path / "pipeline")


def load(folder, noise_level: float = LEVEL):
    return load_model(folder, CPU, modality="image", noise_level=noise_level)


def fresh(folder, seed: object = 1):
    return untrained_model(folder, seed, CPU, modality="image", noise_level=LEVEL)


def reading(model, batch: int = 2):
    return model, open_inputs(model, SAMPLES, CPU), Reading(batch, "float32", CPU, chunk=32)


def activations(model, batch: int = 2) -> torch.Tensor:
    """(units, neurons)."""
    return torch.cat([rows.clone() for rows in ForwardPass(*reading(model, batch)).rows()])


def seen_by_hooks(network, latents: torch.Tensor, step: float) -> torch.Tensor:
    """Neurons (images * patches, neurons) of a network of diffusers itself, told the step and no class."""
    seen = [[] for _ in network.transformer_blocks]
    for layer, block in enumerate(network.transformer_blocks):
        block.ff.net[2].register_forward_pre_hook(lambda _, given, own=seen[layer]: own.append(given[0]))
    steps, labels = torch.full((5,), step), torch.full((5,), SIZES["num_embeds_ada_norm"])
    with torch.no_grad():
        network.eval()(latents, timestep=steps, class_labels=labels)
    return torch.cat([own[0].flatten(0, 1) for own in seen], 1)


def noise(channels: int, side: int) -> torch.Tensor:
    """Of the five images."""
    draws = [torch.Generator().manual_seed(number) for number in range(5)]
    return torch.stack([torch.randn(channels, side, side, generator=draw) for draw in draws])


def pixels() -> torch.Tensor:
    return torch.from_numpy(np.stack(IMAGES)).permute(0, 3, 1, 2) / 127.5 - 1


@pytest.mark.parametrize("act", ACTS)
def test_neurons_are_what_enters_the_second_map_at_the_stated_noise(act, pipeline):
    """With the variances of DDPM: at the 97th step noise and image are as 1 to 3."""
    dit(act=act).save_pretrained(pipeline / "transformer")
    model = load(pipeline)
    real = diffusers.DiTTransformer2DModel.from_pretrained(pipeline / "transformer")
    vae = diffusers.AutoencoderKL.from_pretrained(pipeline / "vae").eval()
    with torch.no_grad():
        latents = vae.encode(pixels()).latent_dist.mode() * 0.5
    scheduler, step = diffusers.DDIMScheduler(), torch.tensor([97])
    kept = float(scheduler.alphas_cumprod[97])
    assert ((1 - kept) / kept) ** 0.5 == pytest.approx(1 / 3, rel=0.01)
    mixed = scheduler.add_noise(latents, noise(4, 8), step)
    torch.testing.assert_close(activations(model), seen_by_hooks(real, mixed, 97.0), atol=1e-4, rtol=1e-4)


def test_a_generator_of_pixels_that_learned_by_flow_matching(pipeline):
    shutil.rmtree(pipeline / "vae")
    dit(3).save_pretrained(pipeline / "transformer")
    diffusers.FlowMatchEulerDiscreteScheduler().save_pretrained(pipeline / "scheduler")
    Preprocessing(8).save(pipeline / "transformer")
    model = load(pipeline / "transformer")
    small = model.preprocessing(IMAGES, np.arange(5))
    assert small.shape == (5, 3, 8, 8)
    real = diffusers.DiTTransformer2DModel.from_pretrained(pipeline / "transformer")
    expected = seen_by_hooks(real, (1 - LEVEL) * small + LEVEL * noise(3, 8), 1000 * LEVEL)
    torch.testing.assert_close(activations(model), expected, atol=1e-4, rtol=1e-4)


def test_the_steps_of_schedulers(tmp_path):
    path = tmp_path / "scheduler_config.json"
    diffusers.DDPMScheduler().save_config(tmp_path)
    levels = np.linspace(0, 1, 9)
    found = [mixture(path, level) for level in levels]
    assert [one.step for one in found] == sorted(one.step for one in found)
    assert (found[0].step, found[-1].step) == (0, 999)
    for level, one in zip(levels, found, strict=True):
        assert one.image**2 + one.noise**2 == pytest.approx(1)
        assert one.noise / (one.noise + one.image) == pytest.approx(level, abs=0.011)
    diffusers.FlowMatchEulerDiscreteScheduler().save_config(tmp_path)
    assert mixture(path, 0.25) == (0.75, 0.25, 250.0)
    diffusers.DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction").save_config(tmp_path)
    assert mixture(path, 0.25) == (0.75, 0.25, 250.0)
    write_json(path, {"_class_name": "VQDiffusionScheduler"})
    with pytest.raises(
        StudyError, match="of a VQDiffusionScheduler, which mixes images with noise in a way that is not"
    ):
        mixture(path, 0.25)


def test_more_noise_is_another_reading_and_batches_are_none(original):
    model, noisier = load(original), load(original, 0.5)
    assert (activations(model) - activations(noisier)).abs().max() > 0.01
    torch.testing.assert_close(activations(model, batch=5), activations(model), atol=1e-5, rtol=1e-5)


def test_a_pipeline_and_its_transformer_are_one_network(original):
    assert model_files(original, "image") == model_files(original / "transformer", "image")
    assert torch.equal(activations(load(original)), activations(load(original / "transformer")))
    for folder in (original, original / "transformer"):
        assert grid_of(folder) == OWN
        assert folder_size(folder, "image").widths == (64, 64)
    assert fingerprint(original).equals(fingerprint(original / "transformer"))


def test_what_dit_was_called_before(pipeline):
    config = read_json(pipeline / "transformer/config.json")
    before = activations(load(pipeline))
    write_json(pipeline / "transformer/config.json", config | {"_class_name": "Transformer2DModel"})
    assert torch.equal(activations(load(pipeline)), before)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_positions_are_worked_out_though_no_checkpoint_holds_them(dtype, original):
    """They are a formula. Left as what the memory held before, they had been NaN at times."""
    for model in (
        load_model(original, CPU, Networks(dtype=dtype), modality="image"),
        untrained_model(original, 1, CPU, Networks(dtype=dtype), modality="image"),
    ):
        found, expected = model.transformer.pos_embed.pos_embed, dit().pos_embed.pos_embed
        assert torch.equal(found, expected)
        assert model.transformer.dtype == getattr(torch, dtype)
        assert all(value.isfinite().all() for value in model.state_dict().values())
    assert not any("pos_embed.pos_embed" in name for name in load(original).state_dict())


def test_the_encoder_is_neither_counted_nor_read(original):
    model = load(original)
    ours = sum(parameter.numel() for parameter in dit().parameters())
    assert describe(model)["parameters"] == ours
    assert size_of_model(model).widths == (64, 64)
    assert not any(isinstance(module, diffusers.AutoencoderKL) for module in model.modules())


def test_an_untrained_generator_sees_what_the_trained_one_sees(original, tmp_path):
    model, other, again = load(original), fresh(original), fresh(original)
    assert torch.equal(model.encoded(pixels()), other.encoded(pixels()))
    assert torch.equal(activations(other), activations(again))
    assert (activations(other) - activations(model)).abs().max() > 0.01
    assert (activations(other) - activations(fresh(original, 2))).abs().max() > 0.01
    write_untrained(original, 1, tmp_path / "untrained", "image")
    assert torch.equal(activations(load(tmp_path / "untrained")), activations(other))
    assert read_json(tmp_path / "untrained/manifest.json")["seed"] == 1
    assert folder_size(tmp_path / "untrained", "image") == folder_size(original, "image")


@pytest.mark.parametrize("act", ["gelu-approximate", "geglu", "swiglu"])
def test_random_neurons_behind_the_nonlinearity(act, pipeline):
    """With the identity in place of a rotation they are the network's own."""
    network = dit(act=act)
    with torch.no_grad():
        for block in network.transformer_blocks:
            block.ff.net[0].proj.weight *= 20  # far from linear
    network.save_pretrained(pipeline / "transformer")
    model = load(pipeline)
    opened = PreActivations(*reading(model))
    assert len(find_mlps(model)[0].pre_activations(torch.zeros(1, 16))) == 2 - (act == "gelu-approximate")
    same = RotatedBeforeNonlinearity(opened, seed=1, rotation=lambda _size, _random: lambda x: x)
    own = activations(model).T
    torch.testing.assert_close(torch.cat([chunk.clone() for chunk in same.chunks()], 1), own, atol=1e-3, rtol=1e-3)
    turned = torch.cat([chunk.clone() for chunk in RotatedBeforeNonlinearity(opened, seed=1).chunks()], 1)
    assert turned.isfinite().all()
    assert (turned - own).abs().max() > 0.01


def test_what_a_manifest_says(original, tmp_path):
    register("dit", "local", original, "image", out_path=tmp_path / "whole.json", noise_level=LEVEL)
    register("dit", "local", original / "transformer", "image", out_path=tmp_path / "part.json", noise_level=LEVEL)
    whole, part = read_json(tmp_path / "whole.json"), read_json(tmp_path / "part.json")
    weights = "diffusion_pytorch_model.safetensors"
    assert whole["noise_level"] == part["noise_level"] == LEVEL
    own, others = ["config.json", weights], ["scheduler/scheduler_config.json", "vae/config.json", f"vae/{weights}"]
    assert set(whole["sha256"]) == {*(f"transformer/{name}" for name in own), *others}
    assert set(part["sha256"]) == {*own, *(f"../{name}" for name in others)}
    assert sorted(whole["sha256"].values()) == sorted(part["sha256"].values())


def removed(name: str):
    return lambda folder: shutil.rmtree(folder / name)


def says(name: str, **values):
    """Other values in the configuration of a part."""
    return lambda folder: write_json(folder / name / "config.json", read_json(folder / name / "config.json") | values)


def unsafe(folder):
    (folder / f"transformer/{WEIGHTS}").rename(folder / "transformer/diffusion_pytorch_model.bin")


WEIGHTS, SANA = "diffusion_pytorch_model.safetensors", "SanaTransformer2DModel"
LACKS = {
    "without scheduler/scheduler_config.json in it or beside it, which says how much": removed("scheduler"),
    "without vae/config.json in it or beside it, which makes 4 channels of an image": removed("vae"),
    "is a pipeline of diffusers without a transformer .it has vae.; expected one": removed("transformer"),
    "without text_encoder/config.json in it or beside it, which": says("transformer", _class_name=SANA),
    r"vae lacks .*safetensors \(weights\); expected": lambda folder: (folder / f"vae/{WEIGHTS}").unlink(),
    r"transformer lacks .*safetensors \(weights\) and holds diffusion.*bin, a pickle": unsafe,
}
OTHERS = {
    "is a UNet2DConditionModel of diffusers, a U-Net": says("transformer", _class_name="UNet2DConditionModel"),
    "is a SanaTransformer2DModel of diffusers; expected": says("transformer", _class_name=SANA, guidance_embeds=True),
    "is a Flux2Transformer2DModel of .*, whose blocks make": says("transformer", _class_name="Flux2Transformer2DModel"),
    "is a Transformer2DModel of diffusers; expected a DiT": says(
        "transformer", _class_name="Transformer2DModel", norm_type="ada_norm_single"
    ),
    "gives None as sample_size, a whole number": says("transformer", sample_size=None),
    "gives 'wide' as mlp_ratio, a positive number": says("transformer", mlp_ratio="wide"),
    "gives None as num_embeds_ada_norm, a whole": says("transformer", num_embeds_ada_norm=None),
    "names the class VQModel with 4 latent channels; expected an Auto": says("vae", _class_name="VQModel"),
    "names the class AutoencoderKL with 8 latent channels; expected": says("vae", latent_channels=8),
}
MISTAKES = LACKS | OTHERS


@pytest.mark.parametrize("told", MISTAKES)
def test_mistakes_are_told_in_a_sentence_before_anything_is_loaded(told, pipeline):
    MISTAKES[told](pipeline)
    with pytest.raises(StudyError, match=told):
        model_files(pipeline, "image")
    with pytest.raises(StudyError, match=told):
        load(pipeline)


def test_a_missing_package_is_told(original, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "diffusers" else found(name))
    with pytest.raises(StudyError, match=r"it is not installed: run \.venv/bin/pip install 'diffusers>=0\.42', then"):
        model_files(original, "image")


def test_what_a_checkpoint_lacks_is_told(pipeline):
    diffusers.DiTTransformer2DModel(in_channels=4, out_channels=8, **SIZES | {"num_layers": 1}).save_pretrained(
        pipeline / "short"
    )
    name = "diffusion_pytorch_model.safetensors"
    shutil.copy(pipeline / "short" / name, pipeline / "transformer" / name)
    with pytest.raises(
        StudyError, match=r"lacks \d+ weights of DiTTransformer2DModel \(first: transformer_blocks\.1\."
    ):
        load(pipeline)
    (pipeline / "transformer" / name).write_bytes(b"no such file")
    with pytest.raises(
        StudyError, match=r"diffusion_pytorch_model\.safetensors .* does not begin as a safetensors file"
    ):
        load(pipeline)
    (pipeline / "vae/config.json").write_text(json.dumps({"_class_name": "AutoencoderKL"}))
    with pytest.raises(StudyError, match="with None latent channels; expected an Auto"):
        load(pipeline)


def test_what_looks_like_a_second_mlp_is_refused(pipeline):
    """At a width of 256 the embedding of the step has the shapes of an MLP."""
    sizes = SIZES | {"num_attention_heads": 16, "attention_head_dim": 16}
    diffusers.DiTTransformer2DModel(in_channels=4, **sizes).save_pretrained(pipeline / "transformer")
    with pytest.raises(StudyError, match="found 0 or 2 MLP down-projections per block, expected one"):
        load(pipeline)


def test_images_are_encoded_in_full_precision(original):
    rough = load_model(original, CPU, Networks(dtype="bfloat16"), modality="image", noise_level=LEVEL)
    given = open_inputs(rough, SAMPLES, CPU).batch(np.arange(5)).arguments["pixel_values"]
    torch.testing.assert_close(rough.encoded(given), load(original).encoded(pixels()))


def test_a_generator_is_not_spread(original):
    with pytest.raises(StudyError, match="generators of diffusers are not spread over devices"):
        load_model(original, CPU, Networks.model_construct(memory_gb=1e-6), modality="image")


def test_text_studies_and_other_networks_know_nothing_of_it(original, tmp_path):
    with pytest.raises(StudyError, match=r"lacks config\.json, tokenizer\.json"):
        model_files(original)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=20, image_size=8, patch_size=4
    )
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    Preprocessing(8).save(tmp_path)
    register("vit", "local", tmp_path, "image", out_path=tmp_path / "out.json", noise_level=LEVEL)
    assert "noise_level" not in read_json(tmp_path / "out.json")


# -- Sana ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sana(tmp_path_factory):
    return write_sana(tmp_path_factory.mktemp("generator") / "sana")


def empty_text(folder) -> tuple[torch.Tensor, torch.Tensor]:
    """The empty text as pipelines encode it, filled up to 7 tokens, and which of these count."""
    text = transformers.Gemma2Model.from_pretrained(folder / "text_encoder").eval()
    ids, mask = torch.tensor([[2] + [0] * 6]), torch.tensor([[1] + [0] * 6])
    with torch.no_grad():
        return text(ids, attention_mask=mask)[0], mask


def test_neurons_of_sana_are_what_enters_the_way_back_of_its_gated_filters(sana):
    model = load(sana)
    real = diffusers.SanaTransformer2DModel.from_pretrained(sana / "transformer").eval()
    vae = diffusers.AutoencoderDC.from_pretrained(sana / "vae").eval()
    seen = [[] for _ in real.transformer_blocks]
    for layer, block in enumerate(real.transformer_blocks):
        block.ff.conv_point.register_forward_pre_hook(lambda _, given, own=seen[layer]: own.append(given[0]))
    text, mask = empty_text(sana)
    with torch.no_grad():
        latents = vae.encode(pixels()).latent * 0.4
        mixed = (1 - LEVEL) * latents + LEVEL * noise(4, 4)
        real(mixed, text.expand(5, -1, -1), torch.full((5,), 125.0), encoder_attention_mask=mask.expand(5, -1))
    expected = torch.cat([own[0].movedim(1, -1).flatten(0, 2) for own in seen], 1)
    torch.testing.assert_close(activations(model), expected, atol=1e-4, rtol=1e-4)
    assert size_of_model(model).widths == folder_size(sana, "image").widths == (40, 40)
    assert size_of_model(model).hidden == folder_size(sana, "image").hidden == 16
    assert grid_of(sana) == OWN
    assert {path.split("/")[-2] for path in model_files(sana, "image")} == {
        *("transformer", "vae", "scheduler", "text_encoder")
    }


def test_nulls_of_sana(sana, tmp_path):
    model, other = load(sana), fresh(sana)
    assert torch.equal(model.encoded(pixels()), other.encoded(pixels()))
    assert torch.equal(model.nothing, other.nothing)
    assert (activations(other) - activations(model)).abs().max() > 1e-3
    write_untrained(sana, 1, tmp_path / "untrained", "image")
    torch.testing.assert_close(activations(load(tmp_path / "untrained")), activations(other), atol=1e-6, rtol=1e-5)
    opened, own = PreActivations(*reading(model)), activations(model).T
    same = RotatedBeforeNonlinearity(opened, seed=1, rotation=lambda _size, _random: lambda x: x)
    torch.testing.assert_close(torch.cat([chunk.clone() for chunk in same.chunks()], 1), own, atol=1e-4, rtol=1e-3)
    turned = torch.cat([chunk.clone() for chunk in RotatedBeforeNonlinearity(opened, seed=1).chunks()], 1)
    assert turned.isfinite().all()
    assert (turned - own).abs().max() > 1e-3
    rough = load_model(sana, CPU, Networks(dtype="bfloat16"), modality="image", noise_level=LEVEL)
    torch.testing.assert_close(activations(rough), activations(model), atol=0.05, rtol=0.05)


def test_a_text_encoder_without_weights_is_told(sana, tmp_path):
    folder = shutil.copytree(sana, tmp_path / "sana")
    (folder / "text_encoder/model.safetensors").unlink()
    with pytest.raises(StudyError, match=r"text_encoder lacks model\.safetensors \(weights\); expected a whole text"):
        load(folder)
