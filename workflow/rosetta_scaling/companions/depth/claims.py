"""Claims about inverse depth scaling, with verdicts by rules that were fixed before the results were looked at.

A signature that untrained networks show as well decides nothing. A claim about all depths is supported when every one
of them supports it, not supported as soon as one contradicts it, and inconclusive otherwise (see claims.py).
"""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.counts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, claim, combine, inside
from rosetta_scaling.config.companions.depth import DepthSettings

PAPER = "Liu et al. 2026, arXiv 2602.05970"
LINK = "this study's link to Rosetta neurons"
UNCONVERGED = (
    "The paper trains ten times longer and more; a short training can make a smooth teacher's exponent look like 1."
)


def judge(tables: dict[str, pd.DataFrame], settings: DepthSettings) -> list[dict]:
    """All claims, each as in claims.claim with the key `caveat`, from the tables of depth_results.summarise.

    Those about published runs and language models are in depth_real_claims.py.
    """
    last = settings.steps[-1]
    exponents = tables["exponents"][tables["exponents"].steps == last]
    whole = exponents[exponents.points == len(settings.depths)].set_index(["regime", "quantity"])
    local = exponents[(exponents.points == 2) & (exponents.quantity == "loss")].groupby("regime").value.agg(list)
    contrasts = tables["contrasts"].set_index("contrast")
    turns, rosetta = (tables[name][tables[name].steps == last] for name in ("turns", "rosetta"))
    judged = [_averaging(whole, local, settings), _steeper(contrasts, whole, settings), _rises(contrasts)]
    judged += [_third_order(whole, local, contrasts, settings), _beats_euler(contrasts, whole)]
    judged += [_step_angle(whole, regime, settings) for regime in ("independent", "tied")]
    judged += [_update_angle(turns, regime, settings) for regime in ("independent", "tied")]
    judged += [_matrix(rosetta, regime, settings) for regime in ("tied", "independent")]
    judged += [_shared(rosetta), _similar_layers(rosetta)]
    return judged


def cell(row: pd.Series) -> str:
    return f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]"


def beside_control(row, control, low: float, high: float) -> str:
    """Is the value inside the bounds, where that of the control surely is not?"""
    vote = inside(row.low, row.high, low, high)
    apart = inside(control.low, control.high, low, high) == NOT_SUPPORTED
    return INCONCLUSIVE if vote == SUPPORTED and not apart else vote


def _beside_local(local: pd.Series, regime: str) -> str:
    return "; between neighbouring depths " + ", ".join(f"{value:.2f}" for value in local[regime])


def _averaging(whole: pd.DataFrame, local: pd.Series, settings: DepthSettings) -> dict:
    row, band = whole.loc[("independent", "loss")], settings.exponent_band
    return claim(
        "Where layers can only average, the loss falls as 1 / depth",
        PAPER,
        inside(row.low, row.high, 1 - band, 1 + band),
        f"exponent {cell(row)} over depths {row['first']:.0f} to {row['last']:.0f}"
        + _beside_local(local, "independent"),
        f"Students of {row.teachers:.0f} teachers whose layers are independent, after {settings.steps[-1]:,} steps; "
        f"supported means inside 1 +/- {band:g}.",
        "The interval is over teachers and knows nothing of the window: the local exponents do. More layers "
        "are more neurons, too; depth alone was not varied.",
    )


def _steeper(contrasts: pd.DataFrame, whole: pd.DataFrame, settings: DepthSettings) -> dict:
    row, least = contrasts.loc["tied less independent"], settings.exponent_band
    tied, independent = (whole.loc[(regime, "loss")] for regime in ("tied", "independent"))
    return claim(
        "A smooth teacher is imitated better by depth than one whose layers are independent",
        PAPER,
        inside(row.low, row.high, least, np.inf),
        f"difference of exponents {cell(row)}; tied {cell(tied)}, independent {cell(independent)}",
        f"Supported means a difference above {least:g}.",
        UNCONVERGED,
    )


def _rises(contrasts: pd.DataFrame) -> dict:
    row, other = contrasts.loc["tied, long less short"], contrasts.loc["independent, long less short"]
    return claim(
        "The exponent of a smooth teacher rises with training",
        PAPER,
        inside(row.low, row.high, 0, np.inf),
        f"difference between two lengths of training {cell(row)}; independent teachers {cell(other)}",
        "The same teachers and starts at both lengths, each with a schedule of its own.",
        "Two lengths tell a direction, not where it ends.",
    )


def _third_order(whole: pd.DataFrame, local: pd.Series, contrasts: pd.DataFrame, settings: DepthSettings) -> dict:
    """A value below 3 that still rises with training is not the converged one and refutes nothing."""
    row, rises = whole.loc[("tied", "loss")], contrasts.loc["tied, long less short"]
    verdict = inside(row.low, row.high, 3 - settings.exponent_band, 3 + settings.exponent_band)
    if verdict == NOT_SUPPORTED and row.high < 3 and rises.low > 0:
        verdict = INCONCLUSIVE
    return claim(
        "A smooth teacher is imitated with an exponent of 3 once students have converged",
        PAPER,
        verdict,
        f"exponent {cell(row)} after {settings.steps[-1]:,} steps{_beside_local(local, 'tied')}; it rose by "
        f"{cell(rises)}",
        f"Supported means inside 3 +/- {settings.exponent_band:g}; a smaller one that still rises decides nothing.",
        UNCONVERGED,
    )


def _beats_euler(contrasts: pd.DataFrame, whole: pd.DataFrame) -> dict:
    row = contrasts.loc["Euler's steps, trained less untrained"]
    after, before = (whole.loc[("tied_euler", quantity)] for quantity in ("loss", "start_loss"))
    return claim(
        "Training raises the order of Euler's steps",
        f"this study's reading of {PAPER}",
        inside(row.low, row.high, 0, np.inf),
        f"difference of exponents {cell(row)}; trained {cell(after)}, untrained steps {cell(before)}",
        "Students start as the longer Euler steps of their teacher. The squared error of these falls as depth^-2, and "
        "faster where the depth of the teacher is near: as (1 / depth - 1 / its depth)^2.",
        "Training gains most where steps are longest, and a student that is not converged hides its order.",
    )


def _step_angle(whole: pd.DataFrame, regime: str, settings: DepthSettings) -> dict:
    row, control = (whole.loc[(regime, quantity)] for quantity in ("step_angle", "untrained_step_angle"))
    band = settings.angle_band
    return claim(
        f"Every layer turns the hidden state by about 1 / depth ({regime} teachers)",
        PAPER,
        beside_control(row, control, 1 - band, 1 + band),
        f"exponent of the step angle {cell(row)}; untrained students {cell(control)}",
        f"Supported means inside 1 +/- {band:g} where the untrained control is not.",
        "A mean over layers, the first and the last included.",
    )


def _update_angle(turns: pd.DataFrame, regime: str, settings: DepthSettings) -> dict:
    low, high = settings.orthogonal if regime == "independent" else (-np.inf, settings.correlated)
    words = {"independent": "orthogonal: layers average", "tied": "correlated: layers follow a smooth flow"}
    rows = turns[(turns.regime == regime) & (turns.angle == "update_angle")].set_index(["network", "depth"])
    over_pi = rows[["value", "low", "high"]] / np.pi
    euler = turns[(turns.regime == "tied_euler") & (turns.network == "trained") & (turns.angle == "update_angle")]
    beside = f"; from Euler's steps {', '.join(f'{v / np.pi:.2f}' for v in euler.value)}" if regime == "tied" else ""
    trained, control = over_pi.loc["trained"], over_pi.loc["untrained"]
    votes = [beside_control(trained.loc[depth], control.loc[depth], low, high) for depth in trained.index]
    return claim(
        f"Neighbouring updates are {words[regime]} ({regime} teachers)",
        PAPER,
        combine(votes),
        "angle over pi at depths "
        + ", ".join(f"{depth}: {cell(trained.loc[depth])}" for depth in trained.index)
        + f"; untrained students {control.value.min():.2f} to {control.value.max():.2f}{beside}",
        f"Supported means {'below' if regime == 'tied' else f'between {low:g} and'} {high:g} at every depth, where the "
        "untrained control is not.",
        (
            "Right angles are what random updates have, so they cannot tell averaging from no structure at all."
            if regime == "independent"
            else "Deep students are the least converged, and the noise of their updates widens the angle."
        ),
    )


def _matrix(rosetta: pd.DataFrame, regime: str, settings: DepthSettings) -> dict:
    flat = settings.flatness
    bounds, words = ((flat, np.inf), "diagonal") if regime == "tied" else ((-flat, flat), "flat")
    rows = rosetta[(rosetta.regime == regime) & (rosetta.quantity == "kappa")]
    wide = rows.set_index(["network", "depth"])
    excess = wide.loc["excess"]
    votes = [inside(row.low, row.high, *bounds) for row in excess.itertuples()]
    cells = [
        f"{depth}: {cell(row)} ({wide.value['trained', depth]:.2f} less {wide.value['untrained', depth]:.2f})"
        for depth, row in excess.iterrows()
    ]
    return claim(
        f"The layer-by-layer matrix of matches between students is {words} ({regime} teachers)",
        LINK,
        combine(votes),
        f"kappa beyond untrained students at depths {'; '.join(cells)}",
        f"Kappa is 0 when partners lie in any layer and 1 when they lie at the same depth; {words} means "
        f"{f'above {flat:g}' if regime == 'tied' else f'within {flat:g} of 0'} beyond the untrained control, at every "
        "depth.",
        "Mutual best partners count whatever their r, and kappa wants the very layer: where layers are many, "
        "neighbours do nearly the same and it is small although matches stay near the diagonal.",
    )


def _shared(rosetta: pd.DataFrame) -> dict:
    rows = rosetta[rosetta.quantity == "rosetta"].set_index(["network", "regime", "depth"]).sort_index()
    tied, independent = rows.loc["excess", "tied"], rows.loc["excess", "independent"]
    votes = [
        SUPPORTED if tied.low[depth] > max(0, independent.high[depth])
        else NOT_SUPPORTED if tied.high[depth] <= max(0, independent.low[depth])
        else INCONCLUSIVE
        for depth in tied.index
    ]  # fmt: skip
    shares = {regime: rows.loc["trained", regime].value for regime in ("tied", "independent")}
    control = rows.loc["untrained"].value
    return claim(
        "Students of a smooth teacher share more neurons than those of independent teachers",
        LINK,
        combine(votes),
        "; ".join(
            f"{regime}: {', '.join(f'{100 * share:.1f}%' for share in found)}" for regime, found in shares.items()
        )
        + f" of neurons at depths {', '.join(map(str, tied.index))}; untrained at most {100 * control.max():.1f}%",
        "Beyond the untrained control, the share with a mutual partner of high r is above that of independent teachers "
        f"at {votes.count(SUPPORTED)} of {len(votes)} depths.",
        "The share depends on the least r, which was fixed beforehand.",
    )


def _similar_layers(rosetta: pd.DataFrame) -> dict:
    rows = rosetta[rosetta.quantity == "inside_rosetta"].set_index(["network", "regime", "depth"]).sort_index()
    votes = [inside(row.low, row.high, 0, np.inf) for row in rows.loc["excess", "tied"].itertuples()]
    cells = [
        f"{regime}: {', '.join(f'{100 * share:.1f}%' for share in rows.loc['trained', regime].value)}"
        for regime in ("tied", "independent")
    ]
    return claim(
        "Layers of one student repeat neurons of its other layers (tied teachers)",
        LINK,
        combine(votes),
        f"neurons with a partner of high r in another layer, {'; '.join(cells)}; untrained at most "
        f"{100 * rows.loc['untrained'].value.max():.1f}%",
        f"The share is above that of untrained students at {votes.count(SUPPORTED)} of {len(votes)} depths.",
        "A teacher whose layers are all the same invites it.",
    )
