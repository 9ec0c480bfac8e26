"""Units of images: what is linear over an image comes out exactly on any grid; patches hold what was drawn there."""

import numpy as np
import pandas as pd
import pytest
import torch

from rosetta_scaling.corpora.pixels import encode
from rosetta_scaling.corpora.procedural import Thing, draw
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.units.images import VIEW, common_grid, contents, interpolation, patch_table
from rosetta_scaling.units.labels import label_units


def middles(patches: int) -> np.ndarray:
    return (np.arange(patches) + 0.5) / patches


@pytest.mark.parametrize("source", [2, 7, 14, 16])
@pytest.mark.parametrize("target", [1, 4, 14, 16, 37])
def test_linear_fields_come_out_exactly(source, target):
    y, x = np.meshgrid(middles(source), middles(source), indexing="ij")
    weights = interpolation(source, target)
    found = weights @ (3 * y - 2 * x + 1) @ weights.T
    y, x = np.meshgrid(middles(target), middles(target), indexing="ij")
    np.testing.assert_allclose(found, 3 * y - 2 * x + 1, atol=1e-12)


def test_between_the_outermost_middles_it_is_bilinear_interpolation():
    field = torch.randn(1, 1, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(field, (16, 16), mode="bilinear", align_corners=False)[0, 0]
    weights = torch.from_numpy(interpolation(7, 16))
    inside = slice(2, -2)  # middles of patches 2..13 of 16 lie between those of patches 0 and 6 of 7
    torch.testing.assert_close((weights @ field[0, 0] @ weights.T)[inside, inside], expected[inside, inside])


def test_the_same_grid_changes_nothing_and_one_patch_is_everywhere():
    np.testing.assert_array_equal(interpolation(5, 5), np.eye(5))
    np.testing.assert_array_equal(interpolation(1, 3), np.ones((3, 1)))


def test_the_common_grid_is_the_largest_that_of_a_family_or_a_number():
    grids = {"dino-r1": 16, "clip-r1": 14}
    assert common_grid(grids, "maximum") == 16
    assert common_grid(grids, "clip") == 14
    assert common_grid(grids, 8) == 8
    with pytest.raises(StudyError, match=r"images\.grid is 'sana', but the networks compared are dino-r1, clip-r1"):
        common_grid(grids, "sana")


@pytest.fixture(scope="module")
def units():
    """Two images: a red square in the top left quarter, and nothing."""
    rng = np.random.default_rng(0)
    square = [Thing("red", "plain", "square", 0.25, 0.25, 0.29, 0.0)]
    rows = [
        (draw(things, 32, rng), things) for things in (square, [Thing("blue", "plain", "disc", 0.5, 0.5, 0.01, 0.0)])
    ]
    documents = pd.DataFrame(
        {
            "doc": [3, 5],
            "domain": ["plain_square", "none"],
            "image": [encode(pixels) for pixels, _ in rows],
            "source": "drawn",
            "objects": [str([list(thing) for thing in things]).replace("'", '"') for _, things in rows],
        }
    )
    return patch_table(documents, 8)


def test_patches_hold_what_was_drawn_there(units):
    assert len(units) == 2 * 64
    assert list(units.unit) == list(range(128))
    red = units[units.content == "red plain square"]
    assert set(zip(red.row, red.column, strict=True)) == {(row, column) for row in range(4) for column in range(4)}
    assert set(red.doc) == {3}
    assert set(units.content) == {"red plain square", "ground"}
    assert contents("[]", 2) == ["unknown"] * 4
    views = {
        (unit.row, unit.column): np.frombuffer(unit.view, np.uint8).reshape(VIEW, VIEW, 3).astype(int)
        for unit in units[units.passage == 0].itertuples()
    }
    assert (views[1, 1][..., 0] > 2 * views[1, 1][..., 1]).all()
    assert views[1, 6][..., 0].mean() < 1.2 * views[1, 6][..., 1].mean(), "to the right there is only ground"
    lower = views[3, 1]
    assert lower[0, 3, 0] > 2 * lower[0, 3, 1]
    assert lower[-1, 3, 0] < 1.2 * lower[-1, 3, 1], "below the square is ground"


def test_labels_of_patches(units):
    labels = label_units(units, 10)
    assert labels.texts == ["ground", "red plain square"]
    assert (labels.text == (units.content != "ground")).all()
    assert labels.domains == ["none", "plain_square"]
    assert set(labels.previous) == {2}, "nothing stands before a patch"
    corner = units[(units.row < 2) & (units.column < 2)]
    assert set(labels.position[corner.index]) == {0}
    assert labels.position.max() == 15
