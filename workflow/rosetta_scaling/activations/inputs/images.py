"""Images as inputs of a network: pixels as it was made to see them, values of its patches resampled to the units.

What stands before the patches (class tokens, registers) is dropped. The maps of a convolutional network differ in size
from layer to layer, and every layer is resampled by itself.
"""

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.activations.pooling import Bags
from rosetta_scaling.corpora.pixels import decode
from rosetta_scaling.networks.towers import image_arguments, patches_along
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.units.images import interpolation

ENOUGH = 28  # places along a side of a map that tell the moments of its channels: the finest maps have 16 times as many


@dataclass(frozen=True)
class ImageBatch:
    """Some images; see contract.py."""

    arguments: dict[str, torch.Tensor]
    units: np.ndarray  # (images * side of the common grid squared,)
    own: int  # patches along a side of the network's grid
    side: int  # of the common grid

    def _patches(self, values: torch.Tensor) -> torch.Tensor:
        """Values (images, rows, columns, neurons), float32, of the patches alone, or of the places of a map."""
        if values.ndim == 4:
            return values.float()
        images, patches = len(self.arguments["pixel_values"]), self.own**2
        rows = values.reshape(images, -1, values.shape[-1])
        if rows.shape[1] < patches:
            raise StudyError(
                f"the MLPs hand over the neurons of {rows.shape[1]} places of an image of {self.own} x {self.own} "
                "patches, expected at least one for every patch: this architecture is not supported, choose another "
                "network"
            )
        return rows[:, rows.shape[1] - patches :].unflatten(1, (self.own, self.own)).float()

    def inside(self, values: torch.Tensor) -> torch.Tensor:
        step = max(1, values.shape[1] // ENOUGH) if values.ndim == 4 else 1
        return self._patches(values)[:, ::step, ::step].flatten(0, 2)

    @property
    def bags(self) -> Bags:
        number = torch.arange(len(self.units) + 1, device=self.arguments["pixel_values"].device)
        return Bags(number[:-1], number)  # every unit is one row

    def rows(self, values: torch.Tensor) -> torch.Tensor:
        """The patches of the common grid, float32, to which those of the network are resampled."""
        patches = self._patches(values)
        weights = resampling(patches.shape[1], self.side, is_map=values.ndim == 4).to(patches.device)
        if len(weights) == patches.shape[1]:
            return patches.flatten(0, 2)
        return torch.einsum("ry,cx,iyxn->ircn", weights, weights, patches).flatten(0, 2)


@functools.cache
def resampling(own: int, side: int, *, is_map: bool) -> torch.Tensor:
    """Weights (side, own), float32, that bring what a network says of `own` places to `side` patches.

    A patch of a transformer is a point (units/images.py). So is a place of a map, unless several of them lie in a
    patch: then the patch is the mean over as many points as there are whole places along its side.
    """
    points = max(1, own // side) if is_map else 1
    weights = interpolation(own, side * points).reshape(side, points, own).mean(1)
    return torch.from_numpy(weights).float()


class ImageInputs:
    """The images of a table (columns passage, image, side); see contract.py."""

    def __init__(self, model: torch.nn.Module, samples: pd.DataFrame, device: torch.device):
        self.model, self.device, self.images = model, device, samples.image.to_numpy()
        self.side, self.own = int(samples.side.iloc[0]), patches_along(model)
        self.units = len(samples) * self.side**2
        self.ends = (np.arange(len(samples)) + 1) * self.side**2
        self.lengths = np.full(len(samples), self.own**2)

    def batch(self, samples: np.ndarray) -> ImageBatch:
        pixels = [decode(self.images[number], f"image {number} of the probe") for number in samples]
        units = (samples[:, None] * self.side**2 + np.arange(self.side**2)).flatten()
        return ImageBatch(image_arguments(self.model, pixels, samples, self.device), units, self.own, self.side)
