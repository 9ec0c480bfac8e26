"""Matched neurons as rows of images: what excites one neuron, with the heat maps of every network of the point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rosetta_scaling.corpora.pixels import data_uri, encode, resized

SHOWN = 96  # pixels along a side of an image on the page
NEAREST, BILINEAR = 0, 2  # Pillow's numbers of filters
HOT = np.array([255.0, 0.0, 80.0])  # where a neuron is strongest
VEIL = 0.75  # how much of the image the strongest heat hides


@dataclass(frozen=True)
class Response:
    """A neuron and its activations on the images of a row: maps (images, side, side)."""

    model: str
    layer: int
    channel: int
    factor: str  # what it codes of what was drawn; empty if that is not one factor or not known
    maps: np.ndarray


@dataclass(frozen=True)
class Match:
    """A neuron of the anchor and its partners, on the images that excite the first most: (side, side, 3), uint8."""

    r: Sequence[float]  # of the anchor with each of the others
    images: Sequence[np.ndarray]
    responses: Sequence[Response]


def match_rows(match: Match) -> list[dict]:
    """A row per network for the page: its words, and its images with their heat as data URIs."""
    rows = []
    for response, r in zip(match.responses, (None, *match.r), strict=True):
        shown = [heated(image, heat) for image, heat in zip(match.images, relative(response.maps), strict=True)]
        words = f"{response.model}, layer {response.layer}, neuron {response.channel}"
        words += f", codes the {response.factor}" if response.factor else ""
        rows.append({"words": words, "r": r, "images": [data_uri(encode(pixels)) for pixels in shown]})
    return rows


def relative(maps: np.ndarray) -> np.ndarray:
    """Maps (images, side, side) from 0, the median of all or less, to 1, the strongest.

    The median stands for what the neuron does when nothing excites it.
    """
    rest = np.median(maps)
    most = maps.max() - rest
    return np.clip((maps - rest) / most, 0, 1) if most > 0 else np.zeros_like(maps)


def heated(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image under a heat map (side, side) from 0 to 1: pixels (SHOWN, SHOWN, 3), uint8."""
    picture = resized(image, SHOWN, NEAREST).astype(float)
    grey = np.repeat((255 * heat).astype(np.uint8)[..., None], 3, 2)
    veil = VEIL * resized(grey, SHOWN, BILINEAR)[..., :1] / 255
    return ((1 - veil) * picture + veil * HOT).round().astype(np.uint8)
