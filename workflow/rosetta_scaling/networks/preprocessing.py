"""What becomes of an image before a network reads it, by the preprocessor_config.json in the folder of the network.

Every network sees the whole square of an image, resized to the size that it was made for: a network that was trained on
the middle of larger images is not shown the middle alone, since the patches of two networks would not be of one place.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rosetta_scaling.corpora.pixels import resized
from rosetta_scaling.networks.generators import generator_at, network_folder
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, write_json

FILE = "preprocessor_config.json"
BILINEAR, LANCZOS = 2, 1  # Pillow's numbers of the filters


@dataclass(frozen=True)
class Preprocessing:
    """How a network sees an image.

    side         of the square that it reads, in pixels
    mean, std    by which red, green and blue, from 0 to 1, are standardised
    resample     Pillow's number of the filter that resizes: 2 bilinear, 3 bicubic
    noise_level  of a generator: the share t of noise in (1 - t) image + t noise
    frequencies  of a generator: sines and cosines by which it is told t, as further channels
    """

    side: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    resample: int = BILINEAR
    noise_level: float = 0.0
    frequencies: int = 0

    def __call__(self, images: list[np.ndarray], numbers: np.ndarray) -> torch.Tensor:
        """Images (side, side, 3), uint8, as a network reads them: (images, channels, side, side), float32.

        `numbers` (images,) decide their noise, which is the same whatever else is in the batch.
        """
        pixels = torch.from_numpy(np.stack([resized(image, self.side, self.resample) for image in images]))
        values = (pixels.permute(0, 3, 1, 2) / 255 - _column(self.mean)) / _column(self.std)
        if not self.frequencies:
            return values
        noise = torch.stack([self._noise(int(number)) for number in numbers])
        return with_time(mixed(values, noise, level := self._level(len(values))), level, self.frequencies)

    def _noise(self, number: int) -> torch.Tensor:
        return torch.randn(3, self.side, self.side, generator=torch.Generator().manual_seed(number))

    def _level(self, images: int) -> torch.Tensor:
        return torch.full((images,), self.noise_level)

    def save(self, folder: Path) -> None:
        """Write it as transformers does; what transformers does not know is only there for generators."""
        values: dict[str, Any] = {
            "do_resize": True, "size": {"height": self.side, "width": self.side}, "resample": self.resample,
            "do_rescale": True, "do_normalize": True, "image_mean": self.mean, "image_std": self.std,
        }  # fmt: skip
        if self.frequencies:
            values |= {"noise_level": self.noise_level, "frequencies": self.frequencies}
        write_json(folder / FILE, values)


def _column(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


def mixed(images: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """(1 - t) image + t noise, with a level t for every image (images,)."""
    t = level[:, None, None, None]
    return (1 - t) * images + t * noise


def with_time(values: torch.Tensor, level: torch.Tensor, frequencies: int) -> torch.Tensor:
    """Images (images, 3, side, side) with the sines and cosines of their noise level as further, constant channels.

    A patch embedding makes of these one vector for every level and adds it to all patches, as a diffusion transformer
    adds the embedding of its time step.
    """
    angle = level[:, None] * torch.pi * 2.0 ** torch.arange(frequencies, device=level.device)  # (images, frequencies)
    told = torch.cat([angle.sin(), angle.cos()], 1)[:, :, None, None]
    return torch.cat([values, told.expand(-1, -1, *values.shape[2:])], 1)


def read_preprocessing(folder: str | Path) -> Preprocessing:
    """What a folder says of how its network sees. Raises StudyError when it says nothing that is known.

    A generator of diffusers needs no such file: its configuration names the size, and pipelines scale alike.
    """
    path = network_folder(folder) / FILE
    if not path.is_file() and (generator := generator_at(folder)):
        return Preprocessing(generator.side, resample=LANCZOS)
    values = read_json(path)
    size = values.get("crop_size") if values.get("do_center_crop") else values.get("size")
    if isinstance(size, dict):
        size = next((size[name] for name in ("height", "shortest_edge") if name in size), None)
    if not isinstance(size, int):
        raise StudyError(
            f"{path} names no size of images (found {values.get('size')!r}); expected a file as transformers' image "
            "processors write it: correct it, or download it again"
        )
    plain = not values.get("do_normalize", True)
    return Preprocessing(
        side=size,
        mean=(0.0,) * 3 if plain else tuple(values.get("image_mean", (0.5,) * 3)),
        std=(1.0,) * 3 if plain else tuple(values.get("image_std", (0.5,) * 3)),
        resample=values.get("resample", BILINEAR),
        noise_level=values.get("noise_level", 0.0),
        frequencies=values.get("frequencies", 0),
    )
