"""Claims about inverse depth scaling, with verdicts by rules that were fixed before the results were looked at.

A signature that untrained networks show as well decides nothing. How depths decide together: see verdicts.py.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.verdicts import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    cell,
    combine,
    inside,
    vote,
    votes_inside,
    withhold,
)
from rosetta_scaling.config.companions.depth import DepthSettings

PAPER = "Liu et al. 2026, arXiv 2602.05970"
LINK = "this study's link to Rosetta neurons"
UNCONVERGED = (
    "The paper trains ten times longer and more; a short training can make a smooth teacher's exponent look like 1."
)


def judge(tables: dict[str, pd.DataFrame], settings: DepthSettings) -> list[Claim]:
    """All claims, each with a caveat, from the tables of results.summarise.

    Those about published runs and language models are in real_claims.py.
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


def beside_control(row: pd.Series, control: pd.Series, low: float, high: float) -> str:
    """Is the value inside the bounds, where that of the control surely is not?"""
    apart = inside(control.low, control.high, low, high) == NOT_SUPPORTED
    return withhold(inside(row.low, row.high, low, high), not apart)


def _beside_local(local: pd.Series, regime: str) -> str:
    return "; between neighbouring depths " + ", ".join(f"{value:.2f}" for value in local[regime])


def _averaging(whole: pd.DataFrame, local: pd.Series, settings: DepthSettings) -> Claim:
    row, band = whole.loc[("independent", "loss")], settings.exponent_band
    return Claim(
        words="Where layers can only average, the loss falls as 1 / depth",
        source=PAPER,
        verdict=inside(row.low, row.high, 1 - band, 1 + band),
        statistic=f"exponent {cell(row)} over depths {row['first']:.0f} to {row['last']:.0f}"
        + _beside_local(local, "independent"),
        sentence=f"Students of {row.teachers:.0f} teachers whose layers are independent, after {settings.steps[-1]:,} "
        f"steps; supported means inside 1 +/- {band:g}.",
        caveat="The interval is over teachers and knows nothing of the window: the local exponents do. More layers "
        "are more neurons, too; depth alone was not varied.",
    )


def _steeper(contrasts: pd.DataFrame, whole: pd.DataFrame, settings: DepthSettings) -> Claim:
    row, least = contrasts.loc["tied less independent"], settings.exponent_band
    tied, independent = (whole.loc[(regime, "loss")] for regime in ("tied", "independent"))
    return Claim(
        words="A smooth teacher is imitated better by depth than one whose layers are independent",
        source=PAPER,
        verdict=inside(row.low, row.high, least, np.inf),
        statistic=f"difference of exponents {cell(row)}; tied {cell(tied)}, independent {cell(independent)}",
        sentence=f"Supported means a difference above {least:g}.",
        caveat=UNCONVERGED,
    )


def _rises(contrasts: pd.DataFrame) -> Claim:
    row, other = contrasts.loc["tied, long less short"], contrasts.loc["independent, long less short"]
    return Claim(
        words="The exponent of a smooth teacher rises with training",
        source=PAPER,
        verdict=inside(row.low, row.high, 0, np.inf),
        statistic=f"difference between two lengths of training {cell(row)}; independent teachers {cell(other)}",
        sentence="The same teachers and starts at both lengths, each with a schedule of its own.",
        caveat="Two lengths tell a direction, not where it ends.",
    )


def _third_order(whole: pd.DataFrame, local: pd.Series, contrasts: pd.DataFrame, settings: DepthSettings) -> Claim:
    """A value below 3 that still rises with training is not the converged one and refutes nothing."""
    row, rises = whole.loc[("tied", "loss")], contrasts.loc["tied, long less short"]
    verdict = inside(row.low, row.high, 3 - settings.exponent_band, 3 + settings.exponent_band)
    if verdict == NOT_SUPPORTED and row.high < 3 and rises.low > 0:
        verdict = INCONCLUSIVE
    return Claim(
        words="A smooth teacher is imitated with an exponent of 3 once students have converged",
        source=PAPER,
        verdict=verdict,
        statistic=f"exponent {cell(row)} after {settings.steps[-1]:,} steps{_beside_local(local, 'tied')}; it rose by "
        f"{cell(rises)}",
        sentence=f"Supported means inside 3 +/- {settings.exponent_band:g}; a smaller one that still rises decides "
        "nothing.",
        caveat=UNCONVERGED,
    )


def _beats_euler(contrasts: pd.DataFrame, whole: pd.DataFrame) -> Claim:
    row = contrasts.loc["Euler's steps, trained less untrained"]
    after, before = (whole.loc[("tied_euler", quantity)] for quantity in ("loss", "start_loss"))
    return Claim(
        words="Training raises the order of Euler's steps",
        source=f"this study's reading of {PAPER}",
        verdict=inside(row.low, row.high, 0, np.inf),
        statistic=f"difference of exponents {cell(row)}; trained {cell(after)}, untrained steps {cell(before)}",
        sentence="Students start as the longer Euler steps of their teacher. The squared error of these falls as "
        "depth^-2, and faster where the depth of the teacher is near: as (1 / depth - 1 / its depth)^2.",
        caveat="Training gains most where steps are longest, and a student that is not converged hides its order.",
    )


def _step_angle(whole: pd.DataFrame, regime: str, settings: DepthSettings) -> Claim:
    row, control = (whole.loc[(regime, quantity)] for quantity in ("step_angle", "untrained_step_angle"))
    band = settings.angle_band
    return Claim(
        words=f"Every layer turns the hidden state by about 1 / depth ({regime} teachers)",
        source=PAPER,
        verdict=beside_control(row, control, 1 - band, 1 + band),
        statistic=f"exponent of the step angle {cell(row)}; untrained students {cell(control)}",
        sentence=f"Supported means inside 1 +/- {band:g} where the untrained control is not.",
        caveat="A mean over layers, the first and the last included.",
    )


def _update_angle(turns: pd.DataFrame, regime: str, settings: DepthSettings) -> Claim:
    low, high = settings.orthogonal if regime == "independent" else (-np.inf, settings.correlated)
    words = {"independent": "orthogonal: layers average", "tied": "correlated: layers follow a smooth flow"}
    rows = turns[(turns.regime == regime) & (turns.angle == "update_angle")].set_index(["network", "depth"])
    over_pi = rows[["value", "low", "high"]] / np.pi
    euler = turns[(turns.regime == "tied_euler") & (turns.network == "trained") & (turns.angle == "update_angle")]
    beside = f"; from Euler's steps {', '.join(f'{v / np.pi:.2f}' for v in euler.value)}" if regime == "tied" else ""
    trained, control = over_pi.loc["trained"], over_pi.loc["untrained"]
    votes = [beside_control(trained.loc[depth], control.loc[depth], low, high) for depth in trained.index]
    return Claim(
        words=f"Neighbouring updates are {words[regime]} ({regime} teachers)",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic="angle over pi at depths "
        + ", ".join(f"{depth}: {cell(trained.loc[depth])}" for depth in trained.index)
        + f"; untrained students {control.value.min():.2f} to {control.value.max():.2f}{beside}",
        sentence=f"Supported means {'below' if regime == 'tied' else f'between {low:g} and'} {high:g} at every depth, "
        "where the untrained control is not.",
        caveat=(
            "Right angles are what random updates have, so they cannot tell averaging from no structure at all."
            if regime == "independent"
            else "Deep students are the least converged, and the noise of their updates widens the angle."
        ),
    )


def _matrix(rosetta: pd.DataFrame, regime: str, settings: DepthSettings) -> Claim:
    flat = settings.flatness
    bounds, words = ((flat, np.inf), "diagonal") if regime == "tied" else ((-flat, flat), "flat")
    rows = rosetta[(rosetta.regime == regime) & (rosetta.quantity == "kappa")]
    wide = rows.set_index(["network", "depth"])
    excess = wide.loc["excess"]
    votes = votes_inside(excess, *bounds)
    cells = [
        f"{depth}: {cell(row)} ({wide.value['trained', depth]:.2f} less {wide.value['untrained', depth]:.2f})"
        for depth, row in excess.iterrows()
    ]
    return Claim(
        words=f"The layer-by-layer matrix of matches between students is {words} ({regime} teachers)",
        source=LINK,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"kappa beyond untrained students at depths {'; '.join(cells)}",
        sentence=f"Kappa is 0 when partners lie in any layer and 1 when they lie at the same depth; {words} means "
        f"{f'above {flat:g}' if regime == 'tied' else f'within {flat:g} of 0'} beyond the untrained control, at every "
        "depth.",
        caveat="Mutual best partners count whatever their r, and kappa wants the very layer: where layers are many, "
        "neighbours do nearly the same and it is small although matches stay near the diagonal.",
    )


def _shared(rosetta: pd.DataFrame) -> Claim:
    rows = rosetta[rosetta.quantity == "rosetta"].set_index(["network", "regime", "depth"]).sort_index()
    tied, independent = rows.loc["excess", "tied"], rows.loc["excess", "independent"]
    votes = [
        vote(tied.low[depth] > max(0, independent.high[depth]), tied.high[depth] <= max(0, independent.low[depth]))
        for depth in tied.index
    ]
    shares = {regime: rows.loc["trained", regime].value for regime in ("tied", "independent")}
    control = rows.loc["untrained"].value
    return Claim(
        words="Students of a smooth teacher share more neurons than those of independent teachers",
        source=LINK,
        verdict=combine(votes),
        votes=len(votes),
        statistic="; ".join(
            f"{regime}: {', '.join(f'{100 * share:.1f}%' for share in found)}" for regime, found in shares.items()
        )
        + f" of neurons at depths {', '.join(map(str, tied.index))}; untrained at most {100 * control.max():.1f}%",
        sentence="Beyond the untrained control, the share with a mutual partner of high r is above that of independent "
        f"teachers at {votes.count(SUPPORTED)} of {len(votes)} depths.",
        caveat="The share depends on the least r, which was fixed beforehand.",
    )


def _similar_layers(rosetta: pd.DataFrame) -> Claim:
    rows = rosetta[rosetta.quantity == "inside_rosetta"].set_index(["network", "regime", "depth"]).sort_index()
    votes = votes_inside(rows.loc["excess", "tied"], 0, np.inf)
    cells = [
        f"{regime}: {', '.join(f'{100 * share:.1f}%' for share in rows.loc['trained', regime].value)}"
        for regime in ("tied", "independent")
    ]
    return Claim(
        words="Layers of one student repeat neurons of its other layers (tied teachers)",
        source=LINK,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"neurons with a partner of high r in another layer, {'; '.join(cells)}; untrained at most "
        f"{100 * rows.loc['untrained'].value.max():.1f}%",
        sentence=f"The share is above that of untrained students at {votes.count(SUPPORTED)} of {len(votes)} depths.",
        caveat="A teacher whose layers are all the same invites it.",
    )
