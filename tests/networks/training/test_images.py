"""Training on images: three objectives, each a function of its settings, and folders that are read as others are."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import ViTForImageClassification

from rosetta_scaling.config.families import OF_IMAGES, Family
from rosetta_scaling.config.images import Images
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.corpora.images import build_image_corpus
from rosetta_scaling.corpora.pixels import decode
from rosetta_scaling.networks.loading import load_model, untrained_model
from rosetta_scaling.networks.mlps import find_down_projections
from rosetta_scaling.networks.sizes import size_of_model
from rosetta_scaling.networks.training.images import ImageTask, Pictures, generate, mixed, velocity
from rosetta_scaling.networks.training.trainer import TrainingJob, train
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json
from rosetta_scaling.store.tensors import read_tensors

CPU = torch.device("cpu")
IMAGES = Images(size=16, per_class=4, probe_per_class=1, objects=1, noise_level=0.5)
SIZE = Size(hidden_size=16, layers=1, heads=2, learning_rate=1e-2)
SETTINGS = Ladder(tokens=16 * 8 * 40, context=16, batch_sequences=8)


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    corpus = SimpleNamespace(kind="procedural", path=None, revision=None, domains=None, seed=0)
    build_image_corpus(corpus, IMAGES, folder)
    return folder / "documents.parquet"


def trained(documents, folder, architecture: str, seed: int = 1):
    family = Family(modality="image", architecture=architecture, seed=seed)
    task = ImageTask(family, SIZE, SETTINGS, IMAGES, documents)
    train(TrainingJob("m", family, SIZE, SETTINGS, task, folder / "out", folder / "work"), CPU)
    return task, folder / "out", read_json(folder / "out/manifest.json")


@pytest.mark.parametrize("architecture", OF_IMAGES)
def test_a_network_learns_and_is_read_as_any_other(documents, tmp_path, architecture):
    task, folder, manifest = trained(documents, tmp_path / "a", architecture)
    losses = [loss for _, loss in manifest["losses"]]
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert manifest["training_tokens"] == SETTINGS.tokens
    _, again, same = trained(documents, tmp_path / "b", architecture)
    assert (folder / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()
    assert same["validation_loss"] == manifest["validation_loss"]
    model = load_model(folder, CPU, modality="image")
    assert size_of_model(model).widths == (4 * SIZE.hidden_size,)
    assert model.preprocessing == task.preprocessing
    (down,) = find_down_projections(model)
    assert any(torch.equal(down.weight, tensor) for tensor in read_tensors(folder / "model.safetensors").values())


@pytest.mark.parametrize("architecture", OF_IMAGES)
def test_every_place_of_an_image_is_told_from_every_other(documents, tmp_path, architecture):
    task, folder, _ = trained(documents, tmp_path, architecture)
    for model in (task.new_model(), untrained_model(folder, 0, CPU, modality="image")):
        positions = [p[0] for name, p in model.named_parameters() if "pos" in name]
        assert positions
        for rows in positions:
            assert len(rows.unique(dim=0)) == len(rows) == 1 + (IMAGES.size // IMAGES.patch) ** 2


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("architecture", OF_IMAGES)
def test_initial_weights_pass_on_as_much_at_every_width(documents, architecture, width):
    family = Family(modality="image", architecture=architecture, seed=1)
    size = SIZE.model_copy(update={"hidden_size": width})
    model = ImageTask(family, size, SETTINGS, IMAGES, documents).new_model()
    (down,) = find_down_projections(model)
    assert down.weight.std().item() * width**0.5 == pytest.approx(0.7, rel=0.1)


def test_the_accuracy_is_that_of_the_probe(documents, tmp_path):
    task, folder, manifest = trained(documents, tmp_path, "vit")
    probe = task._pictures("probe")
    model = ViTForImageClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        found = model(probe.pixels).logits.argmax(1)
    assert manifest["accuracy"] == (found == probe.label).double().mean().item()


def test_a_class_without_training_images_is_refused(documents):
    images = IMAGES.model_copy(update={"per_class": 1})
    corpus = SimpleNamespace(kind="procedural", path=None, revision=None, domains=None, seed=0)
    build_image_corpus(corpus, images, documents.parent / "short")
    task = ImageTask(
        Family(modality="image", architecture="vit"),
        SIZE,
        SETTINGS,
        images,
        documents.parent / "short/documents.parquet",
    )
    with pytest.raises(StudyError, match="only 0 of 16 classes have an image to train on"):
        task.open()


def test_a_generator_follows_the_flow_to_the_image():
    """Where the velocity is known exactly, that of a single image, its steps lead from any noise to that image."""
    image = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    class Exact(torch.nn.Module):
        device = CPU

        def forward(self, values):
            level = torch.atan2(values[:, 3:4], values[:, 7:8]) / torch.pi  # of the first frequency
            return SimpleNamespace(reconstruction=(values[:, :3] - image) / level)

    noise = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    level = torch.tensor([0.5])
    torch.testing.assert_close(velocity(Exact(), mixed(image, noise, level), level), noise - image)
    torch.testing.assert_close(generate(Exact(), 2, 4), image.expand(2, -1, -1, -1), atol=1e-4, rtol=0)


def test_generated_images_are_shown(documents, tmp_path):
    _, folder, _ = trained(documents, tmp_path, "dit")
    assert decode((folder / "samples.png").read_bytes(), "x").shape == (32, 32, 3), "the middle of two rows of eight"


def test_images_are_standardised_once(documents):
    task = ImageTask(Family(modality="image", architecture="dit"), SIZE, SETTINGS, IMAGES, documents)
    pictures = task.open()
    assert isinstance(pictures, Pictures)
    assert pictures.pixels.shape == (48, 3, 16, 16), "noise and its level come with every batch"
    assert float(pictures.pixels.abs().max()) <= 1
    assert np.bincount(pictures.label.numpy()).tolist() == [3] * 16
