"""Contexts: the units on which a neuron is strongest, and the text around them."""

import re

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

COLUMNS = 2**12  # of hashed features: a quarter as many cost 0.005 of detection AUC, four times as many gain 0.001
WORD = re.compile(r"\w+")


def windows(units: pd.DataFrame, chosen: np.ndarray, before: int = 48, after: int = 16) -> list[str]:
    """Text around every chosen unit: whole units that fit in `before` bytes, the unit, those that fit in `after`.

    `units` has columns passage, start, end (bytes in the passage) and text; units of a passage stand together, in
    order. `chosen` holds rows of `units`, in any order. A window ends where its passage does.
    """
    end = np.cumsum((units.end - units.start).to_numpy())  # in the bytes of all units, one after the other
    start = np.append(0, end[:-1])
    passage = units.passage.to_numpy()
    opens = np.flatnonzero(np.append(True, passage[1:] != passage[:-1]))
    closes = np.append(opens[1:], len(units))
    own = np.searchsorted(opens, chosen, side="right") - 1
    first = np.maximum(np.searchsorted(start, start[chosen] - before), opens[own])
    stop = np.minimum(np.searchsorted(end, end[chosen] + after, side="right"), closes[own])
    text, characters = "".join(units.text), np.append(0, np.cumsum(units.text.str.len()))
    return [text[i:j] for i, j in zip(characters[first].tolist(), characters[stop].tolist(), strict=True)]


def strongest_contexts(contexts: pd.DataFrame, top: int) -> pd.DataFrame:
    """The `top` strongest contexts of every neuron in all documents: neuron, rank (from 0), unit, activation.

    Among equals the lower unit wins.
    """
    order = np.lexsort((contexts.unit, -contexts.activation, contexts.neuron))
    table = contexts.iloc[order].reset_index(drop=True)
    table["rank"] = table.groupby("neuron").cumcount()
    return table.loc[table["rank"] < top, ["neuron", "rank", "unit", "activation"]].reset_index(drop=True)


def text_features(units: pd.DataFrame, chosen: np.ndarray) -> csr_matrix:
    """What the text says up to every chosen unit, as sparse rows (chosen, COLUMNS) of hashed features.

    Three blocks of unit length: the unit with its 1- to 3-grams of characters, the two units before it and its place in
    the passage, and the words of its window. A causal network has not read what follows.
    """
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.preprocessing import normalize

    text, passage = units.text.to_numpy(object), units.passage.to_numpy()
    opens = np.append(True, passage[1:] != passage[:-1])
    depth = chosen - np.maximum.accumulate(np.where(opens, np.arange(len(units)), 0))[chosen]  # units before it
    one, two = (np.where(depth >= back, text[chosen - back], "") for back in (1, 2))
    blocks = (
        [_spelling(unit) for unit in text[chosen]],
        [_left(*before) for before in zip(text[chosen], one, two, depth.tolist(), strict=True)],
        [[f"word {word}" for word in set(WORD.findall(window.lower()))] for window in windows(units, chosen, after=0)],
    )
    hasher = FeatureHasher(COLUMNS, input_type="string", alternate_sign=False)
    return csr_matrix(sum(normalize(hasher.transform(block)) for block in blocks))


def _spelling(unit: str) -> list[str]:
    """Features of a unit by itself."""
    marked = f"^{unit}$"
    grams = [f"gram {marked[i : i + n]}" for n in (1, 2, 3) for i in range(len(marked) - n + 1)]
    return [f"unit {unit}", f"folded {unit.strip().lower()}", *grams]


def _left(unit: str, one: str, two: str, depth: int) -> list[str]:
    """Features of the units before a unit; `depth` units of the passage stand before it."""
    place = min(3, depth.bit_length())  # first, second, third or fourth, later
    single = [f"last {one}", f"folded last {one.strip().lower()}", f"second {two}"]
    return [*single, f"pair {one}|{unit}", f"before {two}|{one}", f"place {place}"]
