"""Other neurons made alike to the Rosetta neurons in what makes neurons match: layer, mean, variance, share of units.

High-variance and early neurons match more easily, and look more selective. So the others are weighted by the odds of
being a Rosetta neuron given these confounds (propensity score; Rosenbaum & Rubin 1983): weighted, they have the same
confounds, and what difference in selectivity is left is not due to them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

CONFOUNDS = ("mean", "variance", "fraction_active")  # and the layer
KNOTS = 8  # of the splines through which the confounds enter; with 5, wavy shapes leave twice as much behind
PARTS = 8  # of the range of a confound, whose shares are compared too: means alone do not see what is not monotone
BALANCED = 0.25  # standardised difference beyond which the others are not alike (Stuart 2010) ...
CHANCE = 2.5  # ... or this many standard errors of a difference, which is more for few Rosetta neurons


@dataclass(frozen=True)
class Adjustment:
    """Weights that make the others alike, and how well they do."""

    weights: np.ndarray  # (neurons,) of the others, with sum 1; 0 for Rosetta neurons
    effective_others: float  # as many others, equally weighted, would be as precise
    imbalance_before: float  # largest standardised difference between Rosetta neurons and others (see imbalance)
    imbalance: float  # the same with the weights
    balanced: bool  # is that no more than what cannot be told from none?


def adjust(table: pd.DataFrame, rosetta: np.ndarray) -> Adjustment:
    """Weights of the others from a table of neurons (columns layer and CONFOUNDS) and who is Rosetta (neurons,) bool.

    The log odds are a sum of a constant for every layer and of a cubic spline of every confound's normal score, by
    ridge-penalised logistic regression.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import SplineTransformer

    scores = np.stack([normal_score(table[name].to_numpy()) for name in CONFOUNDS], 1)
    layers = pd.get_dummies(table.layer).to_numpy(float)
    design = np.hstack([layers, SplineTransformer(KNOTS, knots="quantile").fit_transform(scores)])
    odds = np.exp(LogisticRegression(C=100, max_iter=1000).fit(design, rosetta).decision_function(design))
    weights = np.where(rosetta, 0, odds)
    weights /= weights.sum()
    eighths = np.hstack([parts(column) for column in scores.T])
    features = np.hstack([layers, scores, eighths])
    before, after = (imbalance(features, rosetta, w) for w in (~rosetta / (~rosetta).sum(), weights))
    limit = max(BALANCED, CHANCE / np.sqrt(rosetta.sum()))
    return Adjustment(weights, 1 / (weights**2).sum(), before, after, bool(after < limit))


def normal_score(values: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks; values that are not finite get the middle, 0."""
    known = np.isfinite(values)
    score = np.zeros(len(values))
    score[known] = stats.norm.ppf((stats.rankdata(values[known]) - 0.5) / max(1, known.sum()))
    return score


def parts(score: np.ndarray) -> np.ndarray:
    """Membership (neurons, PARTS) in equal parts of the ranks of a score."""
    place = np.searchsorted(stats.norm.ppf(np.arange(1, PARTS) / PARTS), score)
    return np.eye(PARTS)[place]


def imbalance(features: np.ndarray, rosetta: np.ndarray, weights: np.ndarray) -> float:
    """Largest |mean over Rosetta neurons - weighted mean over the others| / standard deviation, over the features."""
    inside = features[rosetta].mean(0)
    deviation = features.std(0)
    varies = deviation > 0
    return float((np.abs(inside - weights @ features)[varies] / deviation[varies]).max(initial=0))
