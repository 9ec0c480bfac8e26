"""What neurons that see respond to, where it is known what was drawn: an object at all, its colour, texture or shape.

The known factors are ground truth. What the content of patches explains of a neuron's variance is divided among the
factors: first whether there is an object, then among objects what each of their factors explains by itself.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.corpora.procedural import FACTORS
from rosetta_scaling.units.images import GROUND, UNKNOWN

CODED = 0.1  # share of a neuron's variance that contents have to explain before one asks which factor it is ...
ONE = 2 / 3  # ... and share of that which one factor has to explain by itself


def factor_shares(sums: np.ndarray, units: np.ndarray, contents: list[str]) -> pd.DataFrame:
    """Shares of what contents explain, per neuron: columns object, colour, texture and shape.

    sums (contents + 1, neurons): of activations beyond any common shift, by the content of the patch, the last for
    others; units (contents + 1,): their number. NaN where nothing was planted. Factors of objects are nearly, not
    exactly, balanced, so shares need not add up to one, and what only a combination of factors explains is in none.
    """
    names = ["object", *FACTORS]
    known = np.array([content not in (GROUND, UNKNOWN) for content in contents])
    if not known.any():
        return pd.DataFrame(np.nan, range(sums.shape[1]), [f"{name}_share" for name in names])
    own, count = sums[:-1], units[:-1]
    all_contents = _between(own, count)
    is_object = np.stack([own[known].sum(0), own[~known].sum(0)]), np.array([count[known].sum(), count[~known].sum()])
    found = {"object": _between(*is_object)}
    words = np.array([content.split(" ") for content, planted in zip(contents, known, strict=True) if planted])
    for place, factor in enumerate(FACTORS):
        values = np.unique(words[:, place])
        member = (words[:, place] == values[:, None]).astype(float)  # (values, contents of objects)
        found[factor] = _between(member @ own[known], member @ count[known])
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = {f"{name}_share": np.where(all_contents > 0, found[name] / all_contents, np.nan) for name in names}
    return pd.DataFrame(shares)


def _between(sums: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Sum of squares (neurons,) between classes: sums (classes, neurons), units (classes,); empty ones are left out."""
    used = units > 0
    total = sums[used].sum(0) ** 2 / max(units.sum(), 1)
    return (sums[used] ** 2 / units[used, None]).sum(0) - total


def factor_of(shares: pd.DataFrame, explained: np.ndarray) -> pd.Series:
    """The one factor that a neuron codes, by name; None where it codes none, or several.

    explained (neurons,): share of the variance that contents explain.
    """
    largest = shares.fillna(0).to_numpy().argmax(1)
    names = np.array([name.removesuffix("_share") for name in shares], object)[largest]
    coded = (explained >= CODED) & (shares.max(axis=1).to_numpy() >= ONE)
    return pd.Series(np.where(coded, names, None), shares.index)
