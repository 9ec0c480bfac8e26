"""Training on images: one vision transformer with three objectives, so that families differ in these alone.

vit      names the class of an image (supervised)
vit_mae  fills in the patches that it does not see (masked autoencoder, He et al. 2022, arXiv 2111.06377)
dit      predicts which way leads from an image to noise (flow matching, Lipman et al. 2023, arXiv 2210.02747): a
         generator. It is told the noise level by constant channels beside red, green and blue, see preprocessing.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.config.families import Family
from rosetta_scaling.config.images import Images
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.corpora.pixels import decode, encode, resized
from rosetta_scaling.networks.preprocessing import Preprocessing, mixed, with_time
from rosetta_scaling.networks.towers import with_positions
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table

FREQUENCIES = 4  # sines and cosines of the noise level
# Standard deviation of initial weights, times the root of the width: 0.02 at widths of about 1,000, as usual. With 0.08
# at every width it was luck how well small classifiers learned (docs/images.md).
INITIAL_SCALE = 0.7
DECODER: dict[str, Any] = {"decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2, "decoder_hidden_size": 32}
DECODER |= {"decoder_intermediate_size": 64}  # of masked autoencoders: small, so that the encoder does the work
SAMPLES, STEPS = 16, 32  # images that a generator makes to be looked at, and steps from noise to image
BATCH = 64  # images at a time that are validated


class Pictures(NamedTuple):
    """Images of one split, standardised: pixels (images, 3, side, side), classes (images,)."""

    pixels: torch.Tensor
    label: torch.Tensor


@dataclass(frozen=True)
class ImageTask:
    """Learn from images; see trainer.Task."""

    family: Family
    size: Size
    settings: Ladder
    images: Images
    documents: Path  # table of the corpus

    @property
    def preprocessing(self) -> Preprocessing:
        if self.family.architecture == "dit":
            return Preprocessing(self.images.size, noise_level=self.images.noise_level, frequencies=FREQUENCIES)
        return Preprocessing(self.images.size)

    def new_model(self) -> Any:
        import transformers

        config = image_config(self.family, self.size, self.images, len(self._classes()))
        torch.manual_seed(self.family.seed)
        return with_positions(getattr(transformers, TRAINED_AS[str(self.family.architecture)])(config))

    def open(self) -> Pictures:
        """The training images. Raises StudyError when a class has none."""
        documents = read_table(self.documents)
        seen = documents.domain[documents.split == "train"].nunique()
        if seen < (classes := len(self._classes())):
            raise StudyError(
                f"corpus: only {seen} of {classes} classes have an image to train on; add images, leave classes out "
                "(corpus.domains) or lower images.probe_per_class"
            )
        return self._pictures("train")

    def epochs(self, data: Pictures, steps: int) -> float:
        return steps * self.settings.batch_sequences / len(data.label)

    def batch(self, data: Pictures, step: int) -> tuple[torch.Tensor, ...]:
        rng = np.random.default_rng([self.family.seed, step])
        chosen = torch.from_numpy(rng.integers(0, len(data.label), self.settings.batch_sequences))
        return self._with_draws(Pictures(data.pixels[chosen], data.label[chosen]), _generator(self.family.seed, step))

    def _with_draws(self, own: Pictures, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        return *own, *DRAWS[str(self.family.architecture)](own, self.images, generator)

    def loss(self, model: torch.nn.Module, *batch: torch.Tensor) -> torch.Tensor:
        return LOSSES[str(self.family.architecture)](model, *batch)

    @torch.no_grad()
    def measure(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        """Loss on the probe, of the same masks and noise for every network; of a classifier the accuracy, too."""
        probe, total, right = self._pictures("probe"), 0.0, 0
        model.eval()
        for start in range(0, len(probe.label), BATCH):
            own = Pictures(*(part[start : start + BATCH] for part in probe))
            batch = [part.to(device) for part in self._with_draws(own, _generator(start))]
            total += self.loss(model, *batch).item() * len(own.label)
            if self.family.architecture == "vit":
                pixels, label = batch
                right += int((model(pixels).logits.argmax(1) == label).sum())
        measured = {"validation_loss": total / len(probe.label)}
        return measured | ({"accuracy": right / len(probe.label)} if self.family.architecture == "vit" else {})

    def save_beside(self, model: torch.nn.Module, folder: Path) -> None:
        self.preprocessing.save(folder)
        if self.family.architecture == "dit":
            (folder / "samples.png").write_bytes(sheet(generate(model, SAMPLES, self.images.size)))

    def _classes(self) -> list[str]:
        return sorted(read_table(self.documents).domain.unique())

    def _pictures(self, split: str) -> Pictures:
        documents = read_table(self.documents)
        own = documents[documents.split == split]
        squares = [
            resized(decode(image, source), self.images.size, self.preprocessing.resample)
            for image, source in zip(own.image, own.source, strict=True)
        ]
        seen = Preprocessing(self.images.size)(squares, np.arange(len(squares)))  # noise comes anew with every batch
        label = pd.Categorical(own.domain, categories=sorted(documents.domain.unique())).codes
        return Pictures(seen, torch.from_numpy(label.astype(np.int64)))


def image_config(family: Family, size: Size, images: Images, classes: int) -> Any:
    """A transformers configuration of the family's architecture, with an MLP four times as wide as the network."""
    from transformers import ViTConfig, ViTMAEConfig

    shared: dict[str, Any] = {"hidden_size": size.hidden_size, "num_hidden_layers": size.layers}
    shared |= {"num_attention_heads": size.heads, "intermediate_size": 4 * size.hidden_size}
    shared |= {"image_size": images.size, "patch_size": images.patch}
    shared |= {"initializer_range": INITIAL_SCALE / size.hidden_size**0.5}
    if family.architecture == "vit_mae":
        return ViTMAEConfig(mask_ratio=images.masked, **DECODER, **shared)
    if family.architecture == "dit":
        return ViTConfig(num_channels=3 + 2 * FREQUENCIES, encoder_stride=images.patch, **shared)
    return ViTConfig(**shared | {"num_labels": classes})


# -- objectives ------------------------------------------------------------------------------------------------------


def _generator(*seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.default_rng(list(seed)).integers(2**62)))


def _nothing(own: Pictures, images: Images, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    return ()


def _order(own: Pictures, images: Images, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Numbers (images, patches) in whose order patches are masked."""
    return (torch.rand(len(own.label), (images.size // images.patch) ** 2, generator=generator),)


def _noise(own: Pictures, images: Images, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Noise of the shape of the pixels, and its levels (images,)."""
    return torch.randn(own.pixels.shape, generator=generator), torch.rand(len(own.label), generator=generator)


def _classify(model: torch.nn.Module, pixels: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in nats."""
    return torch.nn.functional.cross_entropy(model(pixels).logits, label)


def _fill_in(model: torch.nn.Module, pixels: torch.Tensor, label: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Mean square error of the standardised pixels of patches that were masked."""
    return model(pixels, noise=order).loss


def _flow(model: torch.nn.Module, pixels: torch.Tensor, label: torch.Tensor, *drawn: torch.Tensor) -> torch.Tensor:
    """Mean square error of the velocity from image to noise, at random noise levels."""
    noise, level = drawn
    return (velocity(model, mixed(pixels, noise, level), level) - (noise - pixels)).square().mean()


TRAINED_AS = {"vit": "ViTForImageClassification", "vit_mae": "ViTMAEForPreTraining", "dit": "ViTForMaskedImageModeling"}
# What is random in a batch beside the choice of images.
DRAWS: dict[str, Callable[..., tuple[torch.Tensor, ...]]] = {"vit": _nothing, "vit_mae": _order, "dit": _noise}
LOSSES: dict[str, Callable[..., torch.Tensor]] = {"vit": _classify, "vit_mae": _fill_in, "dit": _flow}


# -- generators ------------------------------------------------------------------------------------------------------


def velocity(model: torch.nn.Module, values: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Where images (images, 3, side, side) at their noise levels (images,) move as the level rises; the same shape."""
    return model(with_time(values, level, FREQUENCIES)).reconstruction[:, :3]


@torch.no_grad()
def generate(model: torch.nn.Module, images: int, side: int, seed: int = 0) -> torch.Tensor:
    """Images (images, 3, side, side), standardised, that a generator makes from noise by Euler's method."""
    network: Any = model
    values = torch.randn(images, 3, side, side, generator=_generator(seed)).to(network.device)
    model.eval()
    for step in range(STEPS, 0, -1):
        values = values - velocity(model, values, torch.full((images,), step / STEPS, device=values.device)) / STEPS
    return values.cpu()


def sheet(values: torch.Tensor) -> bytes:
    """Standardised images (images, 3, side, side) in rows of eight, as a PNG file."""
    side = values.shape[-1]
    pixels = ((values * 0.5 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    rows = pixels.view(-1, 8, 3, side, side).permute(0, 3, 1, 4, 2).reshape(-1, 8 * side, 3)
    return encode(rows.numpy())
