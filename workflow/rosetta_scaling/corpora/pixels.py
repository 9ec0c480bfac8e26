"""Encoded images and what they show: pixels, always RGB of 8 bits in a square, the right way up."""

import base64
import io
from typing import Any, Literal

import numpy as np

from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining, reason_of

Kind = Literal["png", "jpeg"]  # of files of images
WIDE = ("I;16", "I;16B", "I;16L", "I")  # modes of grey values of 16 bits


def decode(data: bytes, source: str) -> np.ndarray:
    """The pixels (side, side, 3) of an image file, uint8: its middle square, turned as its EXIF data say.

    Grey values of 16 bits are scaled to 8; what is transparent is white. Raises StudyError for a file that is empty,
    damaged, animated or no image.
    """
    from PIL import Image, ImageOps

    if not data:
        raise StudyError(f"corpus: {source} is an empty file, an image was expected; take it out, or fetch it again.")
    with explaining(
        lambda error: (
            f"corpus: {source} cannot be read as an image ({reason_of(error)}); take the file out, or fetch it again"
        )
    ):
        image: Any = Image.open(io.BytesIO(data))
        frames = getattr(image, "n_frames", 1)
        if frames == 1:
            image = ImageOps.exif_transpose(image)
            pixels = np.asarray(_opaque(image).convert("RGB"))
    if frames > 1:
        raise StudyError(
            f"corpus: {source} is an animation of {frames} frames, a single image was expected; take it out, or save "
            "one of its frames."
        )
    return middle_square(pixels)


def _opaque(image):
    """The image without transparency and with 8 bits per channel."""
    from PIL import Image

    if image.mode in WIDE:
        return Image.fromarray((np.asarray(image).astype(np.uint32) // 257).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image


def middle_square(pixels: np.ndarray) -> np.ndarray:
    """The square in the middle of pixels (height, width, 3)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def encode(pixels: np.ndarray, kind: Kind = "png") -> bytes:
    """Pixels (height, width, 3), uint8, as a file: of a PNG file nothing is lost, and one of JPEG is smaller."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, optimize=False)
    return file.getvalue()


def resized(pixels: np.ndarray, side: int, resample: int) -> np.ndarray:
    """Pixels (side, side, 3), uint8; `resample` is a filter by Pillow's number: 2 bilinear, 3 bicubic."""
    from PIL import Image

    if len(pixels) == side:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling(resample)))


def data_uri(file: bytes, kind: Kind = "png") -> str:
    """The file of an image as its address: the page that shows it needs no file beside it."""
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
