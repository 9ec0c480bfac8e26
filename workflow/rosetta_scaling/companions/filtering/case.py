"""What an arm may look at when it chooses: features of the documents of a task, and which documents are known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from rosetta_scaling.companions.filtering.pools import POOL

COLUMNS = 2**14  # of hashed n-grams; DSIR takes 10,000


@dataclass(frozen=True)
class NeuronFeatures:
    """What the neurons of one network do in every document, and what is known of them.

    means       (documents, neurons) activation, the mean over the tokens of the document
    magnitudes  (documents, neurons) of the pre-activation, of the ungated map in gated MLPs: the same mean of |x|
    layer       (neurons,)
    shared      (neurons,) bool: is it a Rosetta neuron?
    moments     (neurons, 2): mean and standard deviation over the probe text
    chosen      neuron chosen by the rule (see choice.py) among Rosetta neurons and among others, if there are any
    """

    means: np.ndarray
    magnitudes: np.ndarray
    layer: np.ndarray
    shared: np.ndarray
    moments: np.ndarray
    chosen: tuple[int | None, int | None]


@dataclass(frozen=True)
class Features:
    """The documents of a task, a row each; features are made when they are first asked for."""

    documents: pd.DataFrame  # see pools.py
    keywords: str = ""
    embeddings: np.ndarray | None = None  # (documents, dim) of unit length
    neurons: NeuronFeatures | None = None

    @cached_property
    def texts(self) -> list[str]:
        return self.documents.text.tolist()

    @cached_property
    def ngrams(self) -> csr_matrix:
        """Counts (documents, COLUMNS) of hashed words and pairs of words; signs are words, too."""
        from sklearn.feature_extraction.text import HashingVectorizer

        hashed = HashingVectorizer(
            n_features=COLUMNS, ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", norm=None, alternate_sign=False
        )
        return csr_matrix(hashed.transform(self.texts))


@dataclass(frozen=True)
class Case:
    """One choice that an arm has to make.

    pool    rows of the features of the documents to choose from
    known   rows of documents known to be of the target: probe text, and those that are labelled
    others  rows of documents known not to be: probe text
    seed    of what is random
    share   of the neurons of a layer that stand for a document (see neuron_arms.nag)
    """

    features: Features
    pool: np.ndarray
    known: np.ndarray
    others: np.ndarray
    seed: int = 0
    share: float = 0.05

    @property
    def neurons(self) -> NeuronFeatures:
        if self.features.neurons is None:
            raise ValueError("no network has read the documents of this case")
        return self.features.neurons

    @property
    def truth(self) -> np.ndarray:
        """Which documents of the pool (pool,) are of the target. Only the oracle asks."""
        return self.features.documents.target.to_numpy()[self.pool]

    def folds(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Halves of the pool, as places in it: (those to learn from as background, those to score).

        Nobody knows which documents of the pool are of the target, so what learns takes them for background. It must
        not see what it scores, nor other pieces of the same original: all pieces of one are in one half.
        """
        original = self.features.documents.original.to_numpy()[self.pool]
        half = np.unique(original, return_inverse=True)[1] % 2
        return [(np.flatnonzero(half != fold), np.flatnonzero(half == fold)) for fold in (0, 1)]


def pool_rows(documents: pd.DataFrame) -> np.ndarray:
    """Rows of the documents to choose from."""
    return np.flatnonzero(documents.role == POOL)
