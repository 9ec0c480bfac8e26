"""Units of images: the patches of a common grid. Aligned samples for any two networks that see.

Every network reads the same square, at its own size and in its own patches. What it says of its patches is resampled to
the common grid: a patch is a point, its middle, and places are shares of the side of the image.
"""

import logging
from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd

from rosetta_scaling.config.images import Images
from rosetta_scaling.corpora.pixels import decode, resized
from rosetta_scaling.corpora.procedural import front, planted
from rosetta_scaling.schemas.tables.images import PATCHES, SAMPLES
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table

log = logging.getLogger(__name__)

VIEW = 8  # pixels along a side of the view of a patch ...
AROUND = 1  # ... which also shows as much on every side of it, in patches
FINE = 8  # points along a side of a patch at which objects are looked up
GROUND, UNKNOWN = "ground", "unknown"


def interpolation(source: int, target: int) -> np.ndarray:
    """Weights (target, source) that bring values at the middles of `source` patches to those of `target` patches.

    Bilinear in two dimensions, one matrix for each. Between the middles it is what torch's `interpolate` does; beyond
    the outermost, where that repeats the last value, the line goes on. So whatever changes linearly over an image comes
    out exactly, on any grid.
    """
    if source == 1:
        return np.ones((target, 1))
    at = (np.arange(target) + 0.5) / target * source - 0.5  # in patches of the source
    left = np.clip(np.floor(at).astype(int), 0, source - 2)
    weights = np.zeros((target, source))
    weights[np.arange(target), left] = 1 - (at - left)
    weights[np.arange(target), left + 1] = at - left
    return weights


def common_grid(grids: Mapping[str, int], grid: str | int) -> int:
    """Patches along a side of the common grid, by the setting `images.grid`.

    grids: patches along a side, by FAMILY-RUNG. Raises StudyError when the setting names no family of these.
    """
    if isinstance(grid, int):
        return grid
    if grid == "maximum":
        return max(grids.values())
    named = [side for model, side in grids.items() if model.split("-")[0] == grid]
    if not named:
        raise StudyError(
            f"images.grid is {grid!r}, but the networks compared are {', '.join(grids)}; name a family of each of "
            "them, a number of patches, or maximum"
        )
    return max(named)


def contents(objects: str, side: int) -> list[str]:
    """What was drawn in every patch of a grid (side * side,): the object in front in most of it, or the ground."""
    things = planted(objects)
    if not things:
        return [UNKNOWN] * side**2
    places = front(things, side * FINE).reshape(side, FINE, side, FINE).transpose(0, 2, 1, 3).reshape(side**2, -1)
    counts = np.stack([(places == number).sum(1) for number in range(-1, len(things))], 1)
    return [things[number - 1].name if number else GROUND for number in counts.argmax(1)]


def views(pixels: np.ndarray, side: int) -> list[bytes]:
    """The view of every patch of a grid (side * side,): VIEW x VIEW pixels of it and its surroundings.

    Beyond the edge of the image its last pixels are repeated.
    """
    whole = 2 * AROUND + 1
    cell = -(-VIEW // whole)  # pixels along a side of a patch, so that a view has about VIEW of them
    small = np.pad(resized(pixels, side * cell, 2), ((AROUND * cell,) * 2, (AROUND * cell,) * 2, (0, 0)), "edge")
    starts = [(row * cell, column * cell) for row in range(side) for column in range(side)]
    cut = [small[top : top + whole * cell, left : left + whole * cell] for top, left in starts]
    return [resized(view, VIEW, 2).tobytes() for view in cut]


def patch_table(documents: pd.DataFrame, side: int) -> pd.DataFrame:
    """Units of images (columns doc, domain, image, source, objects) on a grid, in their order: see PATCHES."""
    parts, (row, column) = [], np.indices((side, side)).reshape(2, -1)
    for number, document in enumerate(documents.itertuples()):
        about = {"passage": number, "row": row, "column": column}
        content = contents(cast(str, document.objects), side)
        view = views(decode(cast(bytes, document.image), str(document.source)), side)
        about |= {"content": content, "view": view, "doc": document.doc, "domain": document.domain}
        parts.append(pd.DataFrame(about))
    return pd.concat(parts, ignore_index=True).rename_axis("unit").reset_index()


def _probe_images(documents_path: str) -> pd.DataFrame:
    documents = read_table(documents_path)
    return documents[documents.split == "probe"].reset_index(drop=True)


def align_patches(documents_path: str, grids: Mapping[str, int], settings: Images, out: str) -> None:
    """Write the patches on which networks are compared; grids: patches along a side, by model."""
    documents, side = _probe_images(documents_path), common_grid(grids, settings.grid)
    units = patch_table(documents, side)
    log.info("%s units: %d x %d patches of %s images", f"{len(units):,}", side, side, f"{len(documents):,}")
    write_checked_table(out, units, PATCHES)


def index_images(documents_path: str, units_path: str, out: str) -> None:
    """Write the images that networks read, with the grid of their units."""
    documents, units = _probe_images(documents_path), read_table(units_path)
    samples = pd.DataFrame({"passage": range(len(documents)), "image": documents.image, "side": units.row.max() + 1})
    write_checked_table(out, samples, SAMPLES)
