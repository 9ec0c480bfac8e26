"""The page of images: heat lies where a neuron is strong, and is the image itself where it is not."""

import base64
import io

import numpy as np
from PIL import Image

from rosetta_scaling.report.gallery import HOT, SHOWN, VEIL, Match, Response, heated, match_rows, relative

GREY = np.full((16, 16, 3), 100, np.uint8)


def test_heat_is_where_the_neuron_is_strong():
    heat = np.zeros((4, 4))
    heat[1, 2] = 1
    pixels = heated(GREY, heat)
    assert pixels.shape == (SHOWN, SHOWN, 3)
    middle = [round((place + 0.5) * SHOWN / 4) for place in (1, 2)]
    np.testing.assert_allclose(pixels[middle[0], middle[1]], (1 - VEIL) * 100 + VEIL * HOT, atol=12)
    assert (pixels[: SHOWN // 8] == 100).all(), "the first row of patches is as it was"
    assert (pixels[:, -SHOWN // 8 :][SHOWN // 2 :] == 100).all()


def test_the_median_is_no_heat_and_the_strongest_is_all():
    maps = np.arange(18.0).reshape(2, 3, 3) - 9
    found = relative(maps)
    assert found[0, 0, 0] == 0, "weaker than the median"
    assert found[1, 2, 2] == 1
    np.testing.assert_allclose(relative(5 * maps + 3), found)
    assert (relative(np.ones((2, 3, 3))) == 0).all()


def test_a_row_says_which_neuron_it_shows():
    maps = np.zeros((2, 4, 4))
    maps[0, 0, 0] = 1
    own, other = Response("dit-r1", 0, 3, "colour", maps), Response("vit-r1", 1, 7, "", maps)
    rows = match_rows(Match([0.8], [GREY, GREY], [own, other]))
    assert [row["words"] for row in rows] == [
        "dit-r1, layer 0, neuron 3, codes the colour",
        "vit-r1, layer 1, neuron 7",
    ]
    assert [row["r"] for row in rows] == [None, 0.8]
    encoded = rows[0]["images"][1].removeprefix("data:image/png;base64,")
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))) == 100).all()
