"""Is a neuron about one thing? How alike its strongest contexts are, and how well some of them predict the others.

Both look only at what surrounds the units on which a neuron is strongest: see contexts.py.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.selectivity.contexts import reader_of, strongest_contexts

FEWEST = 5  # contexts in either fold below which an AUC says nothing


def monoscore(weights: np.ndarray, index: np.ndarray, embeddings: np.ndarray, chunk: int = 512) -> np.ndarray:
    """Weighted mean cosine between the contexts of a neuron (Pach et al. 2025, arXiv 2504.02821), shape (neurons,).

    sum over pairs of a_i a_j cos(e_i, e_j) / sum over pairs of a_i a_j; a is the positive part of the activations
    `weights` (neurons, contexts), 0 where a neuron has fewer contexts; e_i is the row index[i] of `embeddings`
    (texts, dim), and one of zeros counts as no context. NaN where fewer than two contexts have weight.
    """
    parts = [
        _pair_means(weights[start : start + chunk], index[start : start + chunk], embeddings)
        for start in range(0, len(weights), chunk)
    ]
    return np.concatenate(parts)


def _pair_means(weights: np.ndarray, index: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """MonoScore of a few neurons. A context meets the sum of those before it: linear, and nothing cancels."""
    similar, pairs, weight = np.zeros((3, len(weights)))
    total = np.zeros((len(weights), embeddings.shape[1]))
    for a, place in zip(weights.T.astype(np.float64), index.T, strict=True):
        e = embeddings[place].astype(np.float64)
        length = np.sqrt(np.einsum("nd,nd->n", e, e))
        a = np.where(length > 0, np.maximum(a, 0), 0)
        e *= (a / np.where(length > 0, length, 1))[:, None]
        similar += np.einsum("nd,nd->n", e, total)
        pairs += a * weight
        total += e
        weight += a
    return np.divide(similar, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def context_monoscore(
    contexts: pd.DataFrame, units: pd.DataFrame, neurons: int, top: int, *, embedding: str, device: str = "cpu"
) -> np.ndarray:
    """MonoScore (neurons,) of the `top` strongest contexts of every neuron, as their reader embeds them."""
    table = strongest_contexts(contexts, top)
    used, row = np.unique(table.unit, return_inverse=True)
    weights, index = np.zeros((neurons, top), np.float32), np.zeros((neurons, top), np.int64)
    weights[table.neuron, table["rank"]], index[table.neuron, table["rank"]] = table.activation, row
    return monoscore(weights, index, reader_of(units).embeddings(units, used, embedding, device))


def detection(
    contexts: pd.DataFrame,
    units: pd.DataFrame,
    fold: np.ndarray,
    negatives: int = 100,
    *,
    seed: int = 0,
    neurons: np.ndarray | None = None,
) -> pd.Series:
    """How well the contexts of a neuron in one fold of the documents predict those in the other: AUC by neuron.

    The detection scoring of automated interpretability (arXiv 2606.03990, table 5) with logistic regression on the
    text up to the unit in place of a language model. It learns the contexts with a positive activation of one fold
    against `negatives` random units of it, the same for all neurons but never those contexts, and is scored on
    the other fold; the value is the mean of both directions, 0.5 by chance. NaN where either fold has fewer than 5
    contexts, where the neuron is constant, and for neurons that are not in `neurons` (default: all).
    """
    from sklearn import config_context
    from sklearn.linear_model import LogisticRegression

    index = np.unique(contexts.neuron)
    known = contexts[(contexts.activation > 0) & contexts.neuron.isin(index if neurons is None else neurons)]
    known = known.sort_values(["neuron", "half", "unit"])
    members, rng = [np.flatnonzero(fold == side) for side in (0, 1)], np.random.default_rng(seed)
    drawn = [np.sort(rng.permutation(units_of_fold)[:negatives]) for units_of_fold in members]
    used = np.unique(np.concatenate([known.unit, *drawn]))
    row = np.zeros(len(units), np.int64)
    row[used] = np.arange(len(used))
    features = reader_of(units).features(units, used)
    model = LogisticRegression(solver="liblinear", dual=True, random_state=0)  # the dual is faster than the primal here
    value, unit, side = pd.Series(np.nan, index, name="detection"), known.unit.to_numpy(), known.half.to_numpy()
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for neuron, place in known.groupby("neuron").indices.items():
            positive = [unit[place[side[place] == one]] for one in (0, 1)]
            negative = [np.setdiff1d(*both, assume_unique=True) for both in zip(drawn, positive, strict=True)]
            if min(map(len, positive)) < FEWEST or min(map(len, negative)) == 0:
                continue
            # All units of a constant neuron are equally strong, and among equals the first are kept.
            if any(own[-1] != first[len(own) - 1] for own, first in zip(positive, members, strict=True)):
                rows = [(row[own], row[others]) for own, others in zip(positive, negative, strict=True)]
                value[neuron] = _held_out_auc(model, features, rows)
    return value


def _held_out_auc(model, features, rows: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Learn on one fold, score the other, and the reverse; `rows` of `features`: (positive, negative) of each fold."""
    folds = [(features[np.concatenate(both)], np.repeat([1, 0], [len(one) for one in both])) for both in rows]
    values = []
    for learn, (tested, labels) in zip(folds, folds[::-1], strict=True):
        score = tested @ model.fit(*learn).coef_[0]
        values.append(auc(score[labels == 1], score[labels == 0]))
    return float(np.mean(values))


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """P(a positive scores higher than a negative), ties count half: the area under the ROC curve."""
    difference = positive[:, None] - negative
    return float(((difference > 0) + (difference == 0) / 2).mean())
