"""Images as the page shows them."""

import base64

import numpy as np
import pandas as pd
import pytest
from made_viewer import decoded

from rosetta_scaling.corpora.pixels import decode, encode
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.viewer.images import LARGEST, PART, image_scripts, small_image


def pixels_of(uri: str) -> tuple[str, np.ndarray]:
    kind, file = uri.split(";base64,")
    return kind, decode(base64.b64decode(file), "shown")


def test_small_images_stay_as_they_are_and_large_ones_are_made_small():
    small = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    kind, pixels = pixels_of(small_image(encode(small), "small"))
    assert kind == "data:image/png"
    np.testing.assert_array_equal(pixels, small[:, 10:70])  # the square that networks read
    large = np.zeros((300, 400, 3), np.uint8)
    large[:, 200:] = 200
    kind, pixels = pixels_of(small_image(encode(large), "large"))
    assert (kind, pixels.shape) == ("data:image/jpeg", (LARGEST, LARGEST, 3))
    assert pixels[:, :60].max() < 10 < 190 < pixels[:, -60:].min()


def test_every_image_is_in_the_script_in_which_the_page_looks_for_it():
    shades = [np.full((4, 4, 3), i, np.uint8) for i in range(2 * PART + 1)]
    made = dict(image_scripts("study/images", pd.Series([encode(shade) for shade in shades])))
    for i, shade in enumerate(shades):
        key, about, _ = decoded(made[f"study/images/{i // PART}"])
        assert key == f"study/images/{i // PART}"
        np.testing.assert_array_equal(pixels_of(about["images"][i % PART])[1], shade)
    with pytest.raises(StudyError, match="image 1 cannot be read as an image"):
        list(image_scripts("k", pd.Series([encode(shades[0]), b"no image"])))
