"""Runs: equal values that stand one after the other, as the units of a passage do."""

import numpy as np


def begins_run(values: np.ndarray) -> np.ndarray:
    """Whether a run begins (n,) at every one of `values` (n,): the first, and those that differ from the one before."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]
