"""Contexts: the units on which a neuron is strongest, and who reads what surrounds them.

Text is read by text_contexts.py, images by image_contexts.py. Another modality is another file beside these and an
entry in READERS.
"""

from typing import Protocol

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from rosetta_scaling.selectivity import image_contexts, text_contexts
from rosetta_scaling.store.errors import StudyError


class ContextReader(Protocol):
    """What surrounds units of a table, in the order of `chosen`, rows of that table."""

    def features(self, units: pd.DataFrame, chosen: np.ndarray) -> csr_matrix:
        """Sparse rows (chosen, features) to learn from."""

    def embeddings(self, units: pd.DataFrame, chosen: np.ndarray, embedding: str, device: str) -> np.ndarray:
        """Vectors (chosen, dim) of unit length to compare; zeros where there is nothing."""


# By the column that only their unit tables have.
READERS: dict[str, ContextReader] = {"text": text_contexts, "view": image_contexts}


def reader_of(units: pd.DataFrame) -> ContextReader:
    """Who reads the contexts of a unit table. Raises StudyError for a table that nobody reads."""
    for column, reader in READERS.items():
        if column in units:
            return reader
    raise StudyError(
        f"the unit table has the columns {', '.join(units)}; expected one of {', '.join(READERS)}: delete it and run "
        "the study again"
    )


def strongest_contexts(contexts: pd.DataFrame, top: int) -> pd.DataFrame:
    """The `top` strongest contexts of every neuron in all documents: neuron, rank (from 0), unit, activation.

    Among equals the lower unit wins.
    """
    order = np.lexsort((contexts.unit, -contexts.activation, contexts.neuron))
    table = contexts.iloc[order].reset_index(drop=True)
    table["rank"] = table.groupby("neuron").cumcount()
    return table.loc[table["rank"] < top, ["neuron", "rank", "unit", "activation"]].reset_index(drop=True)
