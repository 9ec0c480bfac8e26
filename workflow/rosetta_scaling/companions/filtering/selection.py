"""From scores to choices, and how good they are."""

import time
from typing import NamedTuple

import numpy as np
import pandas as pd

from rosetta_scaling.companions.filtering.arms import ARMS, NEURONS
from rosetta_scaling.companions.filtering.case import Case, Features, pool_rows
from rosetta_scaling.companions.filtering.pools import POOL, known_rows
from rosetta_scaling.config.companions.filtering import FilteringSettings
from rosetta_scaling.schemas.tables.filtering import CHOSEN, SCORES

NEEDS_CHOICE = {"rosetta_neuron": 0, "matched_neuron": 0, "other_neuron": 1}  # arm -> which of the chosen neurons


class Quality(NamedTuple):
    """How well a selection meets the target, by documents of the pool."""

    f1: float
    auprc: float


def select(scores: np.ndarray, tokens: np.ndarray, budget: int) -> np.ndarray:
    """Places of the documents with the highest scores until `budget` tokens are reached; the last one may exceed it.

    Among equals the first is taken; documents of a pool are in random order.
    """
    order = np.argsort(-scores, kind="stable")
    before = np.cumsum(tokens[order]) - tokens[order]
    return order[before < budget]


def quality(scores: np.ndarray, chosen: np.ndarray, truth: np.ndarray) -> Quality:
    """F1 of the chosen places, and area under the curve of precision over recall (average precision) of the scores."""
    from sklearn.metrics import average_precision_score

    return Quality(2 * truth[chosen].sum() / (len(chosen) + truth.sum()), float(average_precision_score(truth, scores)))


def budget_of(documents: pd.DataFrame) -> int:
    """Tokens to choose: as many as the target has in the pool."""
    return int(documents.tokens[(documents.role == POOL) & documents.target].sum())


def run_arms(
    features: Features, names: list[str], settings: FilteringSettings, seconds: dict[str, float]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every arm for every number of labels and seed: tables SCORES and CHOSEN (of `training_labels` only).

    `features.documents` has the column tokens beside those of a pool. `seconds` of processor time, by arm, went into
    features that were made before, and are added to their own. Arms that learn from no labels are run once for each
    seed, with 0 labels; those for which the rule found no neuron are left out.
    """
    documents, pool = features.documents, pool_rows(features.documents)
    tokens, truth = documents.tokens.to_numpy()[pool], documents.target.to_numpy()[pool]
    budget, scored, chosen = budget_of(documents), [], []
    for name in names:
        if not _is_possible(name, features):
            continue
        for labels in settings.labels if ARMS[name].labels else [0]:
            trained = labels == settings.training_labels or not ARMS[name].labels
            for seed in range(settings.seeds):
                known, others = known_rows(documents, labels, settings.seed + seed)
                case = Case(features, pool, known, others, settings.seed + seed, settings.nag_share)
                began = time.process_time()
                scores = ARMS[name].score(case)
                cost = time.process_time() - began + seconds.get(name, 0.0)
                picked = select(scores, tokens, budget)
                found = quality(scores, picked, truth)
                scored.append((name, labels, seed, *found, int(tokens[picked].sum()), cost))
                if trained:
                    chosen += [(name, seed, int(row)) for row in documents.document.to_numpy()[pool[picked]]]
    return pd.DataFrame(scored, columns=SCORES.names), pd.DataFrame(chosen, columns=CHOSEN.names)


def _is_possible(name: str, features: Features) -> bool:
    """Whether the neurons that an arm looks at are there, and the rule has chosen the one that it needs."""
    if ARMS[name].looks != NEURONS:
        return True
    neurons = features.neurons
    return neurons is not None and (name not in NEEDS_CHOICE or neurons.chosen[NEEDS_CHOICE[name]] is not None)


def arms_that_look(*at: str) -> list[str]:
    """Names of the arms that look at one of these kinds of features."""
    return [name for name, arm in ARMS.items() if arm.looks in at]
