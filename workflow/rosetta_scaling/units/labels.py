"""Labels of every unit, to sum activations by: its text, the text before it, its place, its documents.

Of a patch of an image, the text is what was drawn there; nothing stands before it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling.units.groups import document_blocks

POSITIONS = 16  # units of a passage by their number, two classes per factor of two; patches by a coarser grid
ALONG = 4  # cells of that grid along a side


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
    is_text: bool = True  # or patches of images

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
    def fold(self) -> np.ndarray:
        """Fold of every unit, 0 or 1 (units,): whole documents, and about as much of every domain in both folds.

        What is learned on one fold is tested on the other. The halves of units/groups.py are other ones.
        """
        return self.block_fold[self.block]

    @property
    def block_fold(self) -> np.ndarray:
        """Fold of every block (blocks,): the blocks of a domain alternate."""
        first = np.searchsorted(self.block_domain, self.block_domain)  # blocks are sorted by domain
        return (np.arange(len(self.block_domain)) - first) % 2


def label_units(units: pd.DataFrame, most_texts: int) -> UnitLabels:
    """Labels of a unit table of text or of images (see schemas/tables); `most_texts` texts get a code."""
    is_text = "text" in units
    texts = units.text if is_text else units.content
    counts = texts.value_counts()
    frequent = sorted(counts.index, key=lambda text: (-counts[text], text))[:most_texts]
    text = pd.Index(frequent).get_indexer(texts)
    text = np.where(text < 0, len(frequent), text)
    starts = np.flatnonzero(units.doc.ne(units.doc.shift()))
    displaced = np.roll(text, starts[np.abs(starts - len(text) / 2).argmin()])  # texts cluster in documents
    previous = np.where(_follows(units) if is_text else False, np.append(len(frequent), text[:-1]), len(frequent))
    position = _place_in_passage(units) if is_text else _place_in_image(units)
    domains = sorted(units.domain.unique())
    block, block_domain = document_blocks(units.doc.to_numpy(), pd.Categorical(units.domain, categories=domains).codes)
    return UnitLabels(frequent, text, displaced, previous, position, block, block_domain, domains, is_text)


def _follows(units: pd.DataFrame) -> np.ndarray:
    """Whether a span of text begins where the one before it ends."""
    return ((units.passage.diff() == 0) & (units.start == units.end.shift())).to_numpy()


def _place_in_passage(units: pd.DataFrame) -> np.ndarray:
    number = units.groupby("passage").cumcount().to_numpy()
    return np.minimum(2 * np.log2(number + 1), POSITIONS - 1).astype(int)


def _place_in_image(units: pd.DataFrame) -> np.ndarray:
    side = units.row.max() + 1
    row, column = (ALONG * units[name].to_numpy() // side for name in ("row", "column"))
    return ALONG * row + column
