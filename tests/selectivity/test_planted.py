"""What is planted in images is found in neurons that code it and in no others; what surrounds a patch is described."""

import numpy as np
import pandas as pd
import pytest

from rosetta_scaling.corpora.procedural import COLOURS, SHAPES, TEXTURES
from rosetta_scaling.selectivity.contexts import reader_of
from rosetta_scaling.selectivity.image_contexts import descriptors
from rosetta_scaling.selectivity.planted import factor_of, factor_shares

EACH = 30  # patches of every content


@pytest.fixture(scope="module")
def planted():
    """Contents of patches, ground on a third of them, and neurons that code one factor, two, all, or none."""
    objects = [f"{colour} {texture} {shape}" for colour in COLOURS for texture in TEXTURES for shape in SHAPES]
    contents = ["ground", *objects]
    content = np.repeat(np.arange(len(contents)), [len(objects) * EACH // 2, *[EACH] * len(objects)])
    words = np.array([name.split(" ") if " " in name else ["", "", ""] for name in contents])[content]
    rng = np.random.default_rng(0)
    is_red, is_disc, is_striped = words[:, 0] == "red", words[:, 2] == "disc", words[:, 1] == "stripes"
    is_object = content > 0
    signals = {
        "object": is_object,
        "colour": is_red,
        "texture": 2.0 * is_striped,
        "shape": is_disc,
        "two": is_red * 1.0 + is_disc,
        "conjunction": is_red & is_disc & is_striped,
        "none": 0 * is_red,
    }
    neurons = np.stack([signal + rng.normal(0, 0.3, len(content)) for signal in signals.values()], 1)
    sums = np.stack([neurons[content == code].sum(0) for code in range(len(contents))])
    units = np.bincount(content)
    none = np.zeros((1, len(signals)))
    explained = ((sums**2 / units[:, None]).sum(0) / len(content) - neurons.mean(0) ** 2) / neurons.var(0)
    shares = factor_shares(np.concatenate([sums, none]), np.append(units, 0), contents)
    return pd.DataFrame(shares.assign(explained=explained).to_numpy(), list(signals), [*shares, "explained"])


def test_the_planted_factor_is_found(planted):
    shares, explained = planted.drop(columns="explained"), planted.explained.to_numpy()
    found = factor_of(shares, explained).dropna()
    assert found.to_dict() == {name: name for name in ("object", "colour", "texture", "shape")}
    assert shares.loc["two", ["colour_share", "shape_share"]].between(0.3, 0.6).all()
    assert shares.loc["texture", "texture_share"] == pytest.approx(1, abs=0.2)
    assert planted.loc["none", "explained"] < 0.1


def test_shares_do_not_depend_on_scale_or_shift(planted):
    contents = ["ground", "red plain disc", "blue plain disc", "red checks cross", "blue checks cross"]
    rng, units = np.random.default_rng(1), np.array([40, 10, 10, 10, 10, 0])
    sums = np.append(rng.normal(0, 3, (5, 4)), np.zeros((1, 4)), 0)
    first = factor_shares(sums, units, contents)
    other = factor_shares(-7 * sums + 3 * units[:, None], units, contents)
    pd.testing.assert_frame_equal(first, other)
    assert (first.shape_share == first.texture_share).all(), "here every shape has one texture"


def test_where_nothing_is_planted_nothing_is_known():
    shares = factor_shares(np.ones((2, 3)), np.array([5, 0]), ["unknown"])
    assert shares.isna().all(axis=None)
    assert factor_of(shares, np.ones(3)).isna().all()


def test_views_are_alike_in_colours_and_edges():
    red, blue = np.full((8, 8, 3), (220, 40, 40), np.uint8), np.full((8, 8, 3), (40, 40, 220), np.uint8)
    striped = red.copy()
    striped[::2] //= 3
    across = striped.transpose(1, 0, 2)
    grey = np.full((8, 8, 3), 127, np.uint8)
    found = descriptors(np.stack([red, blue, striped, across, grey]))
    assert found.shape == (5, 80)
    np.testing.assert_allclose(np.linalg.norm(found[:4], axis=1), 1, rtol=1e-5)
    like = found @ found.T
    assert like[0, 1] < like[0, 2]
    assert like[2, 3] < 0.9, "stripes along and across differ"
    units = pd.DataFrame({"view": [red.tobytes(), striped.tobytes()]})
    chosen = np.array([1, 0])
    np.testing.assert_allclose(reader_of(units).features(units, chosen).toarray(), found[[2, 0]], rtol=1e-6)
