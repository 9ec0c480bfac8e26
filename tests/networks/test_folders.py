"""What a folder of a network must hold, by what the network reads."""

import pytest
import torch
import transformers

from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.manifests import register
from rosetta_scaling.networks.preprocessing import Preprocessing
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json


def test_only_networks_of_text_need_a_tokenizer(tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    config = transformers.ViTConfig(**sizes, image_size=8, patch_size=4)
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "vit")
    Preprocessing(8).save(tmp_path / "vit")
    with pytest.raises(StudyError, match=r"lacks tokenizer\.json; expected a folder written by"):
        model_files(tmp_path / "vit")
    names = [file.rpartition("/")[2] for file in model_files(tmp_path / "vit", "image")]
    assert names == ["config.json", "preprocessor_config.json", "model.safetensors"]
    register("vit", "local", tmp_path / "vit", "image", out_path=tmp_path / "manifest.json")
    assert set(read_json(tmp_path / "manifest.json")["sha256"]) == set(names)
    model = load_model(tmp_path / "vit", torch.device("cpu"), modality="image")
    assert model.config.hidden_size == 16
