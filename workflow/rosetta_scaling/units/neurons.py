"""Coordinates of neurons."""

import numpy as np


def layer_and_channel(widths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Layer and channel of every neuron of a model."""
    layer = np.repeat(np.arange(len(widths)), widths)
    return layer, np.arange(len(layer)) - np.cumsum([0, *widths])[layer]
