"""The index of words: which neurons fire on a text, and which promote a token."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling.viewer.scripts import script

PART = 2**17  # neurons in one script of an index


class Index(NamedTuple):
    """Neurons by word."""

    words: list[str]  # sorted
    counts: np.ndarray  # (words,) neurons of each
    neurons: np.ndarray  # those of the first word, then of the second, ...


def index_words(neuron: np.ndarray, text: pd.Series) -> Index:
    """From a neuron and a text for each other: texts without their spaces, in small letters; each neuron once."""
    word = text.astype("string").fillna("").str.strip().str.casefold()
    pairs = pd.DataFrame({"word": word.to_numpy(), "neuron": neuron}).drop_duplicates()
    pairs = pairs[pairs.word != ""].sort_values(["word", "neuron"], kind="stable")
    counts = pairs.groupby("word", sort=True).size()
    return Index(list(counts.index), counts.to_numpy(np.int32), pairs.neuron.to_numpy(np.int32))


def word_scripts(key: str, index: Index) -> Iterator[tuple[str, str]]:
    """Key and text of every script of an index: KEY with the words, KEY-0, KEY-1, ... with the neurons."""
    joined = np.frombuffer("\n".join(index.words).encode(), np.uint8)
    yield key, script(key, {"part": PART}, {"words": joined, "counts": index.counts})
    for part, start in enumerate(range(0, len(index.neurons), PART)):
        yield f"{key}-{part}", script(f"{key}-{part}", {}, {"neurons": index.neurons[start : start + PART]})
