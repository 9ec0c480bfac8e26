"""The images of a study of networks that see: once for all neurons, as small as they are looked at."""

from collections.abc import Iterator

import pandas as pd

from rosetta_scaling.corpora.pixels import Kind, data_uri, decode, encode, resized
from rosetta_scaling.viewer.scripts import script

PART = 16  # images in one script
LARGEST = 128  # pixels along a side; larger images are made smaller
EXACT = 64  # pixels along a side up to which an image is a PNG file, of which nothing is lost; larger ones are JPEG
BICUBIC = 3  # Pillow's number of the filter


def image_scripts(key: str, files: pd.Series) -> Iterator[tuple[str, str]]:
    """Key and text of every script: KEY/0, KEY/1, ... `files` are the images as they are stored, in their order."""
    for part, start in enumerate(range(0, len(files), PART)):
        images = [small_image(file, f"image {start + i}") for i, file in enumerate(files.iloc[start : start + PART])]
        yield f"{key}/{part}", script(f"{key}/{part}", {"images": images}, {})


def small_image(file: bytes, source: str) -> str:
    """The square that networks read of an image, as a data URI. Raises StudyError where `file` is no image."""
    pixels = decode(file, source)
    small = resized(pixels, min(len(pixels), LARGEST), BICUBIC)
    kind: Kind = "png" if len(small) <= EXACT else "jpeg"
    return data_uri(encode(small, kind), kind)
