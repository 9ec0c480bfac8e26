"""A ladder of language models of equal width and different depth: its angles, its loss, and its matrices of layers.

Reads tables of the study: models (models.csv), angles (depth_angles.language_angles) and matches (matches.parquet, or a
null's table after depth_rosetta.add_layers), and needs no matching of its own.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.companions.depth.rosetta import alignment, matched_layers
from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.estimators import fit_power_law
from rosetta_scaling.schemas.tables.depth import LANGUAGE

LOSS_FORMS = {"1 / depth": np.reciprocal, "ln depth": np.log}  # straight lines in these: two numbers each


def middle_angles(angles: pd.DataFrame) -> pd.DataFrame:
    """Mean angles over all layers but the first and the last, radians.

    `angles` has the rows of all models, with a column model. Columns: model, network, layers, step_angle, update_angle
    (between layers in the middle); NaN without such layers.
    """
    inner = angles.layer.between(1, angles.layers - 2)
    pairs = angles.layer.between(1, angles.layers - 3)  # what the last but one adds is compared with the last
    middle = angles.assign(
        step_angle=angles.step_angle.where(inner), update_angle=angles.update_angle.where(pairs)
    )  # fmt: skip
    keys = ["model", "network", "layers"]
    return middle.groupby(keys, as_index=False, sort=False)[["step_angle", "update_angle"]].mean()


def language_exponents(models: pd.DataFrame, angles: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """How the mean step angle in the middle falls with depth, for every family of a depth ladder.

    Columns: family, network, value (of angle ~ depth^-value), low, high (Student's t over models), points. Families
    with fewer than three models that have a middle are left out.
    """
    middle = middle_angles(angles).dropna(subset=["step_angle"]).merge(models[["model", "family"]], on="model")
    rows = []
    for (family, network), part in middle.groupby(["family", "network"], sort=False):
        if part.layers.nunique() >= MINIMUM_RUNGS:
            fit = fit_power_law(part.layers, part.step_angle, confidence)
            found = {"value": -fit["alpha"], "low": -fit["high"], "high": -fit["low"], "points": fit["points"]}
            rows.append({"family": family, "network": network} | found)
    return pd.DataFrame(rows, columns=LANGUAGE["language_exponents"].names)


def loss_table(models: pd.DataFrame) -> pd.DataFrame:
    """Validation loss of every family of a depth ladder by two forms of two numbers each, fitted by least squares.

    Columns: family, form ("1 / depth" or "ln depth"), slope, intercept (bits per byte), rmse, falls (with every step in
    depth), points.
    """
    rows = []
    for family, part in models.sort_values("layers").groupby("family", sort=False):
        depth, loss = part.layers.to_numpy(float), part.validation_bits_per_byte.to_numpy()
        for form, of in LOSS_FORMS.items():
            slope, intercept = np.polyfit(of(depth), loss, 1)
            rmse = np.sqrt(np.mean((loss - intercept - slope * of(depth)) ** 2))
            fit = {"slope": slope, "intercept": intercept, "rmse": rmse, "falls": bool((np.diff(loss) < 0).all())}
            rows.append({"family": family, "form": form} | fit | {"points": len(part)})
    return pd.DataFrame(rows, columns=LANGUAGE["language_losses"].names)


def pair_alignment(matches: pd.DataFrame, layers: int, settings: DepthSettings) -> dict[str, float]:
    """How diagonal the matrix of layers of two models of equal depth is: of all matches, and of those in the middle.

    `matches` are rows of a table of partners that count (see rosetta.matched_layers). Keys: those of
    rosetta.alignment, and the same with prefix middle_ of matches of which neither side is in a first or a last
    layer, where shared tokens alone align networks.
    """
    middle = matches[matches[["layer_a", "layer_b"]].isin(range(1, layers - 1)).all(axis=1)]
    every, inner = (
        alignment(matched_layers(part, layers, layers), settings.shuffles, settings.confidence, [settings.seed, layers])
        for part in (matches, middle)
    )
    return every | {f"middle_{key}": value for key, value in inner.items()}
