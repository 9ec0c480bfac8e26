"""Networks that see, by structure: their neurons on patches of the common grid, whatever else is in a batch."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from architecture_cases import CASES, DINO, IMAGE

from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.opening import open_inputs
from rosetta_scaling.corpora.pixels import encode
from rosetta_scaling.networks.loading import load_model, untrained_model
from rosetta_scaling.networks.mlps import find_down_projections
from rosetta_scaling.networks.model_sizes import folder_size
from rosetta_scaling.networks.preprocessing import Preprocessing, mixed, with_time
from rosetta_scaling.networks.sizes import size_of_model
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.units.images import interpolation

CPU = torch.device("cpu")
READER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "vocab_size": 50,
}
READER |= {"bos_token_id": 1, "eos_token_id": 2}
BOTH = {"vision_config": IMAGE, "text_config": READER}
NAMED = ("vit", "dinov2", "dinov2_swiglu", "dinov3", "dinov3_gated", "clip", "siglip", "vit_mae")
CONFIGS = {name: CASES[name].config() for name in NAMED} | {
    "beit": transformers.BeitConfig(**IMAGE),
    "deit": transformers.DeiTConfig(**IMAGE),
    "dinov2_with_registers": transformers.Dinov2WithRegistersConfig(**DINO),
    "pixio": transformers.PixioConfig(**DINO, n_cls_tokens=3),
    "clip_with_text": transformers.CLIPConfig(**BOTH),
    "siglip_with_text": transformers.SiglipConfig(**BOTH),
}
SIXTEEN = Preprocessing(16)
SIDE, OWN = 3, 4  # patches along a side of the common grid, and of the grids of these networks
IMAGES = [np.random.default_rng(i).integers(0, 256, (16, 16, 3)).astype(np.uint8) for i in range(5)]
SAMPLES = pd.DataFrame({"passage": range(5), "image": [encode(image) for image in IMAGES], "side": SIDE})


def saved(folder, config, preprocessing=SIXTEEN):
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    preprocessing.save(folder)
    return load_model(folder, CPU, modality="image")


def activations(model, samples=SAMPLES, batch: int = 2) -> torch.Tensor:
    """(units, neurons)."""
    source = ForwardPass(model, open_inputs(model, samples, CPU), Reading(batch, "float32", CPU, chunk=32))
    return torch.cat([rows.clone() for rows in source.rows()])


@pytest.mark.parametrize("name", CONFIGS)
def test_neurons_of_patches_whatever_else_is_in_the_batch(name, tmp_path):
    model = saved(tmp_path, CONFIGS[name])
    found = activations(model)
    assert found.shape == (5 * SIDE**2, sum(size_of_model(model).widths))
    assert folder_size(tmp_path, "image").widths == size_of_model(model).widths
    torch.testing.assert_close(activations(model, batch=5), found)
    whole = activations(model, SAMPLES.assign(side=OWN)).view(5, OWN, OWN, -1)
    weights = torch.from_numpy(interpolation(OWN, SIDE)).float()
    torch.testing.assert_close(found.view(5, SIDE, SIDE, -1), torch.einsum("ry,cx,iyxn->ircn", weights, weights, whole))


@pytest.mark.parametrize("name", ["dinov2_with_registers", "vit_mae", "clip"])
def test_a_patch_is_read_where_it_is(name, tmp_path):
    """The first layer of a network whose attention writes nothing sees every patch by itself."""
    model = saved(tmp_path, CONFIGS[name])
    written = [name for name, _ in model.named_parameters() if re.search("o_proj|out_proj|attention.output", name)]
    assert written
    with torch.no_grad():
        for name in written:
            model.get_parameter(name).zero_()
    changed = IMAGES[0].copy()
    changed[8:12, 4:8] = 255 - changed[8:12, 4:8]  # the patch in row 2, column 1
    both = pd.DataFrame({"passage": range(2), "image": [encode(IMAGES[0]), encode(changed)], "side": OWN})
    first = activations(model, both).view(2, OWN, OWN, -1)[..., : size_of_model(model).widths[0]]
    differs = (first[0] - first[1]).abs().amax(-1) > 1e-6
    assert differs.nonzero().tolist() == [[2, 1]]


def test_what_a_network_sees_is_what_its_folder_says(tmp_path):
    model = saved(tmp_path, CONFIGS["dinov2"], Preprocessing(8, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)))
    inputs = open_inputs(model, SAMPLES, CPU).batch(np.array([1])).arguments["pixel_values"]
    assert inputs.shape == (1, 3, 8, 8)
    halved = IMAGES[1].reshape(8, 2, 8, 2, 3).mean((1, 3)) / 255
    expected = torch.from_numpy((halved - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7]).permute(2, 0, 1).float()
    assert (inputs[0] - expected).abs().mean() < 0.1  # Pillow's filter reaches beyond two pixels
    assert activations(model).shape[0] == 5 * SIDE**2, "a grid of 2 patches, resampled"
    assert untrained_model(tmp_path, 1, CPU, modality="image").preprocessing == model.preprocessing
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(StudyError, match="names no size of images"):
        load_model(tmp_path, CPU, modality="image")
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(StudyError, match=r"lacks preprocessor_config\.json; expected a folder written by"):
        load_model(tmp_path, CPU, modality="image")


def test_a_generator_is_read_on_images_with_the_same_noise_every_time():
    seen = Preprocessing(16, noise_level=0.25, frequencies=2)
    alone, beside = seen(IMAGES[2:3], np.array([2])), seen(IMAGES, np.arange(5))
    assert alone.shape == (1, 3 + 2 * 2, 16, 16)
    assert torch.equal(alone[0], beside[2])
    image = Preprocessing(16)(IMAGES[2:3], np.array([2]))
    noise = (alone[:, :3] - 0.75 * image) / 0.25
    assert abs(float(noise.mean())) < 0.1
    assert float(noise.std()) == pytest.approx(1, abs=0.05)
    level = torch.tensor([0.0, 1.0])
    both = mixed(torch.zeros(2, 3, 2, 2), torch.ones(2, 3, 2, 2), level)
    assert both.flatten(1).mean(1).tolist() == [0.0, 1.0]
    told = with_time(both, level, 2)[:, 3:, 0, 0]
    torch.testing.assert_close(told, torch.tensor([[0.0, 0, 1, 1], [0, 0, -1, 1]]), atol=1e-6, rtol=0)


def test_networks_without_patches_of_one_size_are_refused(tmp_path):
    config = transformers.SwinConfig(embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=4, image_size=32)
    with pytest.raises(StudyError, match="this architecture is not supported"):
        saved(tmp_path, config)


def test_only_the_tower_that_sees_is_read(tmp_path):
    model = saved(tmp_path, CONFIGS["clip_with_text"])
    assert type(model).__name__ == "CLIPVisionModel"
    whole = transformers.CLIPModel.from_pretrained(tmp_path)
    ours = [module.weight for module in find_down_projections(model)]
    theirs = [layer.mlp.fc2.weight for layer in whole.vision_model.encoder.layers]
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
