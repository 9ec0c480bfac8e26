"""Matching by activations, as in the study of language models; it is informative only in several dimensions.

For x^2 on an interval every neuron is a smooth curve in one variable, and any two such curves correlate. In several
dimensions two neurons correlate if they have the same direction.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from rosetta_scaling.companions.lottery.links import against_nulls, over_pairs, pairwise
from rosetta_scaling.companions.lottery.results import NETWORKS, Run, midpoints
from rosetta_scaling.config.companions.lottery import ACTIVATIONS, TARGETS, LotterySettings
from rosetta_scaling.numerics.partners import match_activations
from rosetta_scaling.store.tensors import read_tensors

ONE_DIMENSION = "one dimension"


def quadratic_path(folder: str | Path, activation: str) -> Path:
    """The file with the networks of a job on the quadratic form, in the folder of all jobs."""
    return Path(folder) / f"quadratic-{activation}" / NETWORKS


def neuron_values(hidden: np.ndarray, x: np.ndarray, activation: str) -> np.ndarray:
    """Activations (neurons, points) of neurons (neurons, inputs + 1) at inputs x (points, inputs), without neurons
    that are constant there: they correlate with nothing."""
    z = x.astype(float) @ hidden[:, :-1].T.astype(float) + hidden[:, -1]
    values = (np.maximum(z, 0) if activation == "relu" else z * expit(z)).T
    return values[np.ptp(values, axis=1) > 0]


def activation_rows(
    settings: LotterySettings, trained: np.ndarray, untrained: np.ndarray, x: np.ndarray, *, activation: str
) -> dict[str, float]:
    """Columns of activation_table for networks of one width: hidden layers (seeds, neurons, inputs + 1) at inputs x."""
    width = trained.shape[1]
    found: dict[str, Any] = {}

    def matches(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
        """Share of neurons with a strong mutual best partner, and the mean r of all mutual best partners."""
        if not (len(a) and len(b)):
            return 0.0, 0.0
        _, r = match_activations(a.copy(), b.copy())
        return (r >= settings.match_r).sum() / width, r.mean()

    for kind, networks in (("trained", trained), ("untrained", untrained)):
        values = [neuron_values(one, x, activation) for one in networks]
        found[kind] = pairwise(matches, values)
        found[f"r_{kind}"] = over_pairs(found[kind][..., 1], np.ones((1, len(networks))))[0]
        found[f"constant_{kind}"] = 1 - np.mean([len(one) for one in values]) / width
    shares = against_nulls(settings, found["trained"][..., 0], {"untrained": found["untrained"][..., 0]})
    others = {name: found[name] for name in ("r_trained", "r_untrained", "constant_trained")}
    return {"width": width, "seeds": len(trained)} | shares | others


def activation_table(settings: LotterySettings, runs: list[Run], folder: str | Path) -> pd.DataFrame:
    """Share of neurons with a mutual best partner of r of at least match_r, for all pairs of seeds of a width.

    Columns: target (one dimension, after the longer training; distinct or isotropic eigenvalues), activation, loss
    (median), width, seeds, share, low, high, null_untrained, excess with _low, _high, r_trained, r_untrained (mean r
    of all mutual best partners), constant_trained (share of neurons that do not vary over the probe).
    """
    rows = []
    for run in (run for run in runs if run.steps == settings.steps[1]):
        x = midpoints(settings.evaluation_points)[:, None]
        for width, found in run.networks.items():
            hidden, initial = (found[name][: settings.link_seeds] for name in ("hidden", "initial_hidden"))
            name = {"target": ONE_DIMENSION, "activation": run.activation, "loss": np.median(run.losses(width))}
            rows.append(name | activation_rows(settings, hidden, initial, x, activation=run.activation))
    for activation in ACTIVATIONS:
        found = {name: value.numpy() for name, value in read_tensors(quadratic_path(folder, activation)).items()}
        for target in TARGETS:
            for width in settings.quadratic.widths:
                hidden, initial, loss = (found[f"{target}.{width}.{n}"] for n in ("hidden", "initial_hidden", "loss"))
                name = {"target": target, "activation": activation, "loss": np.median(loss)}
                rows.append(name | activation_rows(settings, hidden, initial, found["probe"], activation=activation))
    return pd.DataFrame(rows)
