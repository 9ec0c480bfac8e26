"""The image around units: as colours and edges to learn from and to compare. Nothing is downloaded for it.

A view (see units/images.py) is described by its colours, in sixteen places, and by the directions of its edges, in
four, as histograms of oriented gradients do (Dalal & Triggs 2005).
"""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

PLACES, DIRECTIONS = 4, 8  # places along a side whose colours are told, directions of edges


def descriptors(views: np.ndarray) -> np.ndarray:
    """Unit vectors (views, 80) of views (views, side, side, 3), uint8: colours, then edges, of equal length.

    Colours are told as their distance from grey. A view that is all grey has only zeros.
    """
    values = views.astype(np.float32) / 255 - 0.5
    side = values.shape[1] // PLACES
    colours = values.reshape(len(values), PLACES, side, PLACES, side, 3).mean((2, 4)).reshape(len(values), -1)
    return _unit(np.concatenate([_unit(colours), _unit(_edges(values.mean(3)))], 1))


def _edges(grey: np.ndarray) -> np.ndarray:
    """Strength of edges (views, 4 * DIRECTIONS) by quarter of the view and by direction, from light to dark or not."""
    y, x = np.gradient(grey, axis=(1, 2))
    strength, angle = np.hypot(x, y), np.arctan2(y, x) % np.pi
    direction = np.minimum((angle / np.pi * DIRECTIONS).astype(int), DIRECTIONS - 1)
    views, half = len(grey), grey.shape[1] // 2
    told = strength[..., None] * np.eye(DIRECTIONS, dtype=np.float32)[direction]  # (views, side, side, DIRECTIONS)
    return told.reshape(views, 2, half, 2, half, DIRECTIONS).sum((2, 4)).reshape(views, -1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 1e-6, length, np.inf)


def _of_units(units: pd.DataFrame, chosen: np.ndarray) -> np.ndarray:
    views = np.frombuffer(b"".join(units.view.to_numpy()[chosen]), np.uint8)
    side = int((len(units.view.iloc[0]) / 3) ** 0.5)
    return descriptors(views.reshape(len(chosen), side, side, 3))


def features(units: pd.DataFrame, chosen: np.ndarray) -> csr_matrix:
    """What the image shows at every chosen unit and around it, as rows (chosen, 80)."""
    return csr_matrix(_of_units(units, chosen))


def embeddings(units: pd.DataFrame, chosen: np.ndarray, embedding: str, device: str) -> np.ndarray:
    """The same as vectors; the embedding of texts that a study names has no part in it."""
    return _of_units(units, chosen)
