"""Labels of every unit, to sum activations by: its text, the text before it, its place, its documents."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling.units.groups import document_blocks

POSITIONS = 16  # units of a passage by their number, two classes per factor of two


class Kind(NamedTuple):
    """Labels of one kind: a code of every unit (units,), from 0, and how many codes there are."""

    codes: np.ndarray
    size: int


@dataclass(frozen=True)
class UnitLabels:
    """Codes (units,) of every unit; the last code of `text` and of `previous` stands for all that is rare or absent."""

    texts: list[str]  # those with a code of their own, most frequent first
    text: np.ndarray  # of the unit itself, 0..len(texts)
    displaced: np.ndarray  # the same, displaced by whole documents: a null of what texts explain
    previous: np.ndarray  # text of the unit before it in the same passage
    position: np.ndarray  # 0..POSITIONS - 1, by the number of units before it in its passage
    block: np.ndarray  # of documents of one domain, 0..len(block_domain) - 1
    block_domain: np.ndarray  # (blocks,) code of the domain of every block
    domains: list[str]  # names by code

    @property
    def by_sum(self) -> dict[str, Kind]:
        """The kinds of labels by which activations are summed, in the order of the rows of the sums."""
        texts = len(self.texts) + 1
        return {
            "previous": Kind(self.previous, texts),
            "position": Kind(self.position, POSITIONS),
            "text": Kind(self.text, texts),
            "block": Kind(self.block, len(self.block_domain)),
        }

    @property
    def by_positive_sum(self) -> dict[str, Kind]:
        """The kinds of labels by which what is above zero is summed, in the order of the rows of the sums."""
        kinds = self.by_sum
        return {"text": kinds["text"], "block": kinds["block"], "displaced": Kind(self.displaced, kinds["text"].size)}

    @property
    def half(self) -> np.ndarray:
        """Block half of every unit, 0 or 1: whole documents of every domain are in one or the other (units,)."""
        return self.block_half[self.block]

    @property
    def block_half(self) -> np.ndarray:
        """Block half of every block: blocks of a domain alternate (blocks,)."""
        first = np.searchsorted(self.block_domain, self.block_domain)  # blocks are sorted by domain
        return (np.arange(len(self.block_domain)) - first) % 2


def label_units(units: pd.DataFrame, most_texts: int) -> UnitLabels:
    """Labels of a unit table (columns passage, doc, domain, start, end, text); `most_texts` texts get a code."""
    counts = units.text.value_counts()
    frequent = sorted(counts.index, key=lambda text: (-counts[text], text))[:most_texts]
    text = pd.Index(frequent).get_indexer(units.text)
    text = np.where(text < 0, len(frequent), text)
    starts = np.flatnonzero(units.doc.ne(units.doc.shift()))
    displaced = np.roll(text, starts[np.abs(starts - len(text) / 2).argmin()])  # texts cluster in documents
    follows = (units.passage.diff() == 0) & (units.start == units.end.shift())
    previous = np.where(follows, np.append(len(frequent), text[:-1]), len(frequent))
    number = units.groupby("passage").cumcount().to_numpy()
    position = np.minimum(2 * np.log2(number + 1), POSITIONS - 1).astype(int)
    domains = sorted(units.domain.unique())
    block, block_domain = document_blocks(units.doc.to_numpy(), pd.Categorical(units.domain, categories=domains).codes)
    return UnitLabels(frequent, text, displaced, previous, position, block, block_domain, domains)
