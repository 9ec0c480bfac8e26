"""The model of model.py simulated, as in appendix D.7 of Dravid et al. 2026 (arXiv 2606.03990), and its exponents.

Two networks see the same inputs: A = gamma N latents z_r ~ N(0, 1), one per feature, each standardised over the inputs.
In either network every feature with s_r > 0 has a neuron of its own, at a place of its own, so that a match is right or
wrong. Its activation is sqrt(s_r) z_r + the sum of w_k z_k over a random set of other features + noise.

The paper states neither the size of that set, nor the norm of w, nor the variance of the noise, nor what all other
neurons carry. Here it is 8 features, and the square of the norm and the variance are halves of an interference of 1.
Other neurons are left out: they would carry background only, and add chance matches at the price of correlations N x N.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from rosetta_scaling.fits.theory.model import (
    detectable,
    isolation,
    isolation_of_correlation,
    last_represented,
    mean_isolation,
    predicted_correlation,
    rank_slope,
)
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.numerics.partners import match_activations
from rosetta_scaling.power_laws.estimators import fit_power_law
from rosetta_scaling.store.errors import StudyError

BACKGROUND, NOISE = 0.5, 0.5  # variances of an activation beside its signal
LEAST_R = 0.5  # of a match that counts: isolation is 1 there
QUANTITIES = ("matches", "matches_half", "predicted")


@dataclass(frozen=True)
class World:
    """What networks of every size have in common."""

    kappa: float = 1.0  # budget of isolation per neuron
    gamma: int = 4  # features per neuron
    background: int = 8  # other features that a neuron carries


def simulate(
    beta: float,
    sizes: Sequence[int],
    runs: int,
    inputs: int = 10_000,
    *,
    world: World = World(),
    seed: int = 0,
) -> pd.DataFrame:
    """One row for each run of two networks of each size; a row is the same whatever other sizes and runs there are.

        beta, neurons, run
        represented, predicted  features with s > 0; those with s >= 1 by model.py, a real number
        matches, right          mutual best partners; those of them that represent one feature
        matches_half            mutual best partners with r >= 0.5
        null, null_half         matches and matches_half when the second network sees inputs of its own
        mean_isolation          mean over matches_half of r / (1 - r)
        rank_slope              beta by the r of one pair of networks, as it is read from real ones
        predicted_mean_isolation                the same by model.py: mean s of all integer ranks with s >= 1
        mean_correlation_error  mean of r less its prediction, over right ones with r >= 0.5

    Memory is three times that of the activations of one network: 12 bytes x represented x inputs.
    """
    tau, rows = float(isolation_of_correlation(LEAST_R)), []
    kappa, background = world.kappa, world.background
    for neurons in sizes:
        r0, features = last_represented(neurons, beta, kappa), world.gamma * neurons
        s = isolation(np.arange(1, math.ceil(r0)), r0, beta)
        if len(s) > neurons or not 0 < background < features:
            raise StudyError(
                f"{neurons} neurons were asked to represent {len(s)} features, each with {background} of {features} as "
                f"background; expected at most {neurons} (lower kappa), and a background of 1 to {features - 1}."
            )
        predicted = {
            "represented": len(s),
            "predicted": detectable(neurons, beta, kappa, tau),
            "predicted_mean_isolation": mean_isolation(neurons, beta, kappa, tau),
        }
        for run in range(runs):
            rng = np.random.default_rng([seed, *float(beta).as_integer_ratio(), neurons, run])
            measured = _matches(s, features, background, inputs=inputs, rng=rng)
            rows.append({"beta": beta, "neurons": neurons, "run": run} | predicted | measured)
    return pd.DataFrame(rows)


def _matches(
    s: np.ndarray, features: int, background: int, *, inputs: int, rng: np.random.Generator
) -> dict[str, float]:
    """What is counted in two networks with isolations s (represented,)."""
    (weights_a, own_a), (weights_b, own_b) = (network(s, features, background, rng) for _ in range(2))
    shared = activations(sparse.hstack([weights_a, weights_b], "csr"), inputs, rng)
    a, b = shared[: len(s)], shared[len(s) :]
    pairs, r = match_activations(a, b)
    b[:] = activations(weights_b, inputs, rng)
    _, null = match_activations(a, b)
    right, half = own_a[pairs.a] == own_b[pairs.b], r >= LEAST_R
    error = r - predicted_correlation(s, s)[own_a[pairs.a]]
    return {
        "matches": len(r),
        "right": right.sum(),
        "matches_half": half.sum(),
        "null": len(null),
        "null_half": (null >= LEAST_R).sum(),
        "mean_isolation": pd.Series(isolation_of_correlation(r[half])).mean(),
        "rank_slope": rank_slope(isolation_of_correlation(r)),
        "mean_correlation_error": pd.Series(error[right & half]).mean(),
    }


def network(
    s: np.ndarray, features: int, background: int, rng: np.random.Generator
) -> tuple[sparse.csr_array, np.ndarray]:
    """Weights (features, represented) of latents in the neurons of a network, and the feature of each, from 0."""
    own = rng.permutation(len(s))
    others = np.stack([rng.choice(features - 1, background, replace=False) for _ in own])
    others += others >= own[:, None]  # never its own
    loading = rng.standard_normal(others.shape)
    loading *= np.sqrt(BACKGROUND / (loading**2).sum(1, keepdims=True))
    weight = np.column_stack([np.sqrt(s[own] * (BACKGROUND + NOISE)), loading]).astype(np.float32)
    feature, neuron = np.column_stack([own, others]), np.arange(len(s)).repeat(1 + background)
    return sparse.csr_array((weight.ravel(), (feature.ravel(), neuron)), shape=(features, len(s))), own


def activations(weights: sparse.csr_array, inputs: int, rng: np.random.Generator) -> np.ndarray:
    """Activations (neurons, inputs) of neurons with weights (features, neurons), float32, of new latents and noise.

    Latents are drawn one feature at a time, and only of features that have a weight: all of them would be
    4 x 2**17 x 10,000 numbers.
    """
    values = rng.standard_normal((weights.shape[1], inputs), dtype=np.float32)
    values *= np.float32(np.sqrt(NOISE))
    for feature in np.flatnonzero(np.diff(weights.indptr)):
        latent = rng.standard_normal(inputs, dtype=np.float32)
        latent -= latent.mean()
        latent *= np.sqrt(inputs / (latent @ latent))
        of_feature = slice(*weights.indptr[feature : feature + 2])
        for neuron, weight in zip(weights.indices[of_feature], weights.data[of_feature], strict=True):
            values[neuron] += weight * latent
    return values


def recovered_exponent(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """alpha of the means over runs of each of QUANTITIES against neurons, by beta, as in estimators.py.

    Columns: beta, quantity, alpha, low, high (Student's t over sizes), expected (1 / beta), points. `predicted` is the
    closed form at the same sizes: what it lacks of 1 / beta is due to finite networks, and no interval covers that.
    Sizes at which the mean is zero have no logarithm and are left out; NaN where fewer than 3 are left.
    """
    rows = []
    for beta, part in table.groupby("beta"):
        means = part.groupby("neurons")[list(QUANTITIES)].mean()
        for quantity in QUANTITIES:
            known = means[quantity][means[quantity] > 0]
            fit = fit_power_law(known.index, known, confidence) if len(known) >= MINIMUM_RUNGS else {}
            row = {"beta": beta, "quantity": quantity} | {key: fit.get(key, np.nan) for key in ("alpha", "low", "high")}
            rows.append(row | {"expected": 1 / beta, "points": len(known)})
    return pd.DataFrame(rows)
