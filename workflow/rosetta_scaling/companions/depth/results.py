"""Tables of the study of inverse depth scaling: exponents, angles and matrices of layers, with their intervals.

The replicate is the teacher: values of its students are averaged, and teachers are resampled.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from rosetta_scaling.companions.depth.rosetta import BETWEEN, INSIDE, alignment, matched_layers
from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.numerics import intervals

JOB = ["regime", "steps"]
CONTRASTS = (  # (name, (regime, steps: 0 short, 1 long; quantity), the same of what is subtracted)
    ("tied less independent", ("tied", 1, "loss"), ("independent", 1, "loss")),
    ("tied, long less short", ("tied", 1, "loss"), ("tied", 0, "loss")),
    ("independent, long less short", ("independent", 1, "loss"), ("independent", 0, "loss")),
    ("Euler's steps, trained less untrained", ("tied_euler", 1, "loss"), ("tied_euler", 1, "start_loss")),
)


def resampled_mean(values: Sequence[float] | np.ndarray, draws: int, seed: int | list[int]) -> np.ndarray:
    """Means (draws,) of resampled values, one value per teacher. The same seed takes the same teachers."""
    known = np.asarray(values, float)
    return known[np.random.default_rng(seed).integers(0, len(known), (draws, len(known)))].mean(1)


def mean_row(values: Sequence[float] | pd.Series, settings: DepthSettings) -> dict[str, float]:
    """value, low, high and the number of teachers, of one value per teacher; those that are missing are left out."""
    known = pd.Series(values, dtype=float).dropna().to_numpy()
    if not len(known):
        return {"value": np.nan, "low": np.nan, "high": np.nan, "teachers": 0}
    draws = resampled_mean(known, settings.bootstrap, settings.seed)
    low, high = intervals.of_resamples(draws, settings.confidence, len(known))
    return {"value": known.mean(), "low": low, "high": high, "teachers": len(known)}


def teacher_values(losses: pd.DataFrame, angles: pd.DataFrame) -> pd.DataFrame:
    """ln of every quantity that may fall with depth: columns regime, steps, quantity, teacher, depth, y.

    Means over the students of a teacher of ln loss, ln start_loss, and ln of the mean angle over the steps of trained
    and of untrained students (step_angle, untrained_step_angle). Students that start as the identity have the
    same start at every depth, which is left out.
    """
    keys, parts = [*JOB, "teacher", "depth"], []
    for quantity in ("loss", "start_loss"):
        rows = losses if quantity == "loss" else losses[losses.regime == "tied_euler"]
        parts.append(rows.assign(y=np.log(rows[quantity]), quantity=quantity))
    turned = angles.groupby([*keys, "seed", "network"], as_index=False).step_angle.mean()
    names = turned.network.map({"trained": "step_angle", "untrained": "untrained_step_angle"})
    parts.append(turned.assign(y=np.log(turned.step_angle), quantity=names))
    every = pd.concat(parts, ignore_index=True)
    return every.groupby([*JOB, "quantity", "teacher", "depth"], as_index=False, sort=False).y.mean()


def teacher_exponents(values: pd.DataFrame, window: Sequence[int]) -> pd.DataFrame:
    """alpha of y ~ depth^-alpha for every teacher, least squares over the depths of the window."""
    rows = []
    for key, part in values[values.depth.isin(window)].groupby([*JOB, "quantity", "teacher"], sort=False):
        slope = np.polyfit(np.log(part.depth), part.y, 1)[0]
        rows.append(dict(zip([*JOB, "quantity", "teacher"], key, strict=True)) | {"alpha": -slope})
    return pd.DataFrame(rows)


def exponents_table(values: pd.DataFrame, settings: DepthSettings) -> pd.DataFrame:
    """Exponents over all depths, and between neighbouring ones.

    Columns: regime, steps, quantity, first, last (depths), points, value, low, high, teachers.
    """
    windows = [settings.depths, *itertools.pairwise(settings.depths)]
    tables = []
    for window in windows:
        groups = teacher_exponents(values, window).groupby([*JOB, "quantity"], sort=False).alpha
        rows = [dict(zip([*JOB, "quantity"], key, strict=True)) | mean_row(part, settings) for key, part in groups]
        place = {"first": window[0], "last": window[-1], "points": len(window)}
        tables.append(pd.DataFrame(rows).assign(**place))
    order = [*JOB, "quantity", "first", "last", "points", "value", "low", "high", "teachers"]
    return pd.concat(tables, ignore_index=True)[order]


def contrasts_table(values: pd.DataFrame, settings: DepthSettings) -> pd.DataFrame:
    """Differences of exponents over all depths: columns contrast, value, low, high, teachers.

    Both sides of a contrast between lengths, or between a start and its result, have the same teachers, which are
    resampled together.
    """
    alphas, rows = teacher_exponents(values, settings.depths), []
    for name, *sides in CONTRASTS:
        draws, means, sizes = [], [], []
        for regime, length, quantity in sides:
            chosen = (
                (alphas.regime == regime) & (alphas.steps == settings.steps[length]) & (alphas.quantity == quantity)
            )
            alpha = alphas[chosen].sort_values("teacher").alpha.to_numpy()
            draws.append(resampled_mean(alpha, settings.bootstrap, [settings.seed, *regime.encode()]))
            means.append(alpha.mean())
            sizes.append(len(alpha))
        low, high = intervals.of_resamples(draws[0] - draws[1], settings.confidence, min(sizes))
        row = {"contrast": name, "value": means[0] - means[1], "low": low, "high": high, "teachers": min(sizes)}
        rows.append(row)
    return pd.DataFrame(rows)


def turns_table(angles: pd.DataFrame, settings: DepthSettings) -> pd.DataFrame:
    """Mean angles over the layers of students, radians; column `angle` says which: step_angle or update_angle.

    Columns: regime, steps, depth, network, angle, value, low, high, teachers.
    """
    keys, rows = [*JOB, "depth", "network"], []
    means = angles.groupby([*keys, "teacher"], as_index=False, sort=False)[["step_angle", "update_angle"]].mean()
    for key, part in means.groupby(keys, sort=False):
        for name in ("step_angle", "update_angle"):
            rows.append(dict(zip(keys, key, strict=True)) | {"angle": name} | mean_row(part[name], settings))
    return pd.DataFrame(rows)


def layers_of_angles(angles: pd.DataFrame) -> pd.DataFrame:
    """Means over students of the angles at every layer, with columns regime, steps, depth, network, layer."""
    keys = [*JOB, "depth", "network", "layer"]
    return angles.groupby(keys, as_index=False, sort=False)[["step_angle", "update_angle"]].mean()


def alignments_table(matches: pd.DataFrame, settings: DepthSettings) -> pd.DataFrame:
    """Measures of the partners of neurons, by teacher: columns regime, steps, depth, network, teacher, and

    between its students: mean_r (of best partners), matches (mutual ones), rosetta (share of neurons with a mutual
    partner of r >= min_r), and share, expected, kappa, null_low, null_high (see rosetta.alignment) of the matches
    of all pairs; inside a student: inside_mean_r, inside_rosetta, the same with partners in other layers.
    """
    keys, rows = [*JOB, "depth", "network", "teacher"], []
    for key, part in matches.groupby(keys, sort=False):
        row = dict(zip(keys, key, strict=True))
        for kind, prefix in ((BETWEEN, ""), (INSIDE, "inside_")):
            found = part[part.kind == kind]
            row[f"{prefix}mean_r"] = found.r.mean()
            row[f"{prefix}rosetta"] = (found.mutual & (found.r >= settings.min_r)).mean()
        mutual = part[(part.kind == BETWEEN) & part.mutual]
        depth, seed = row["depth"], [settings.seed, row["depth"], row["teacher"]]
        layers = matched_layers(mutual, depth, depth)
        rows.append(row | alignment(layers, settings.shuffles, settings.confidence, seed))
    return pd.DataFrame(rows)


def rosetta_table(alignments: pd.DataFrame, settings: DepthSettings) -> pd.DataFrame:
    """Means over teachers of kappa, share, expected, mean_r, rosetta and those inside a student.

    Columns: regime, steps, depth, quantity, network (trained, untrained, or excess: trained less untrained, teacher by
    teacher), value, low, high, teachers.
    """
    keys, rows = [*JOB, "depth"], []
    for key, part in alignments.groupby(keys, sort=False):
        for quantity in ("kappa", "share", "expected", "mean_r", "rosetta", "inside_mean_r", "inside_rosetta"):
            wide = part.pivot_table(index="teacher", columns="network", values=quantity, dropna=False)
            wide = wide.assign(excess=wide.trained - wide.untrained)
            for network in ("trained", "untrained", "excess"):
                row = dict(zip(keys, key, strict=True)) | {"quantity": quantity, "network": network}
                rows.append(row | mean_row(wide[network], settings))
    return pd.DataFrame(rows)


def layers_table(matches: pd.DataFrame, settings: DepthSettings) -> pd.DataFrame:
    """Mutual partners by pair of layers, all teachers together.

    Columns: regime, steps, depth, network, kind, layer_a, layer_b, matches, expected (by the margins; inside a student
    this also counts the own layer), rosetta (matches with r >= min_r).
    """
    keys, tables = [*JOB, "depth", "network", "kind"], []
    for key, part in matches[matches.mutual].groupby(keys, sort=False):
        place = dict(zip(keys, key, strict=True))
        table = matched_layers(part, place["depth"], place["depth"]).matrix()
        strong = matched_layers(part[part.r >= settings.min_r], place["depth"], place["depth"]).matrix()
        tables.append(table.assign(rosetta=strong.matches, **place))
    return pd.concat(tables, ignore_index=True)[[*keys, "layer_a", "layer_b", "matches", "expected", "rosetta"]]


def summarise(jobs: dict[str, pd.DataFrame], settings: DepthSettings) -> dict[str, pd.DataFrame]:
    """All tables of the students from the losses, angles and matches of all jobs (see measure.run_job)."""
    losses, angles = jobs["losses"], jobs["angles"]
    students = jobs["matches"][jobs["matches"].regime != "tied_euler"]  # they share a start, so they match trivially
    values, alignments = teacher_values(losses, angles), alignments_table(students, settings)
    return {
        "losses": losses,
        "exponents": exponents_table(values, settings),
        "contrasts": contrasts_table(values, settings),
        "turns": turns_table(angles, settings),
        "angles": layers_of_angles(angles),
        "alignments": alignments,
        "rosetta": rosetta_table(alignments, settings),
        "layers": layers_table(students, settings),
    }
