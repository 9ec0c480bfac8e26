"""Claims about inverse depth scaling outside of the toy: published runs, and a ladder of language models.

By rules fixed beforehand, as in claims.py; each claim is made where its table is.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.fits import CLOSER
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Claim, cell, combine, inside, vote
from rosetta_scaling.companions.depth.claims import PAPER, beside_control
from rosetta_scaling.config.companions.depth import DepthSettings


def judge_runs(runs: pd.DataFrame, settings: DepthSettings) -> list[Claim]:
    """Claims about published runs, from chinchilla.chinchilla_table."""
    return [_published(runs, settings), _robust(runs, settings), _rival(runs)]


def judge_language(tables: dict[str, pd.DataFrame], settings: DepthSettings) -> list[Claim]:
    """Claims about a depth ladder of language models.

    Tables (see language.py): language_losses (loss_table), language_exponents, language_angles (middle_angles),
    and language_pairs: pair_alignment of every pair, with columns kind (real or untrained), model_a, model_b, layers.
    """
    return [
        _language_loss(tables["language_losses"]),
        _language_steps(tables["language_exponents"], settings),
        _language_updates(tables["language_angles"], settings),
        _language_matrix(tables["language_pairs"], settings),
    ]


def _published(runs: pd.DataFrame, settings: DepthSettings) -> Claim:
    rows = runs[runs.of == "depth"].rename(columns={"alpha": "value"})
    row, band = rows.iloc[0], settings.exponent_band
    return Claim(
        words="The loss of published language models falls as 1 / depth",
        source=PAPER,
        verdict=inside(row.low, row.high, 1 - band, 1 + band),
        statistic=f"exponent of depth {cell(row)}, standard error {row.se:.2f}, {row.runs} runs",
        sentence=f"Supported means inside 1 +/- {band:g}; ln width and ln depth correlate at {row.correlation:.2f}.",
        caveat="One interval for one choice of runs: see the claim about the choice.",
    )


def _robust(runs: pd.DataFrame, settings: DepthSettings) -> Claim:
    rows = runs[runs.of == "depth"]
    first, spread = rows.iloc[0], rows.alpha.max() - rows.alpha.min()
    outside = not rows.alpha.between(first.low, first.high).all()
    wide = spread > settings.exponent_band
    return Claim(
        words="The exponent of depth does not depend on which runs are left out",
        source="precondition of this study",
        verdict=vote(not wide and not outside, wide and outside),
        statistic=", ".join(f"{row.dropped} dropped: {row.alpha:.2f}" for row in rows.itertuples()),
        sentence=f"It moves by {spread:.2f}; more than {settings.exponent_band:g} and out of the first interval is "
        "dependence.",
        caveat="Runs of the highest loss are small ones: leaving them out also narrows the range of depths.",
    )


def _rival(runs: pd.DataFrame) -> Claim:
    scores = runs.pivot_table(index="dropped", columns="form", values="aicc", sort=False)
    ahead = scores["parameters"] - scores["width and depth"]
    votes = [vote(a > CLOSER, a < -CLOSER) for a in ahead]
    return Claim(
        words="Width and depth tell more about the loss than the number of parameters",
        source=f"this study's reading of {PAPER}",
        verdict=combine(votes),
        votes=len(votes),
        statistic="AICc of the form without depth less that with it: "
        + ", ".join(f"{dropped} dropped: {a:+.1f}" for dropped, a in ahead.items()),
        sentence=f"The form with width and depth is ahead by more than {CLOSER:g} for {votes.count(SUPPORTED)} of "
        f"{len(votes)} choices of runs.",
        caveat="It has two more numbers to fit, for which AICc makes it pay.",
    )


def _language_loss(losses: pd.DataFrame) -> Claim:
    votes, cells = [], []
    for family, part in losses.groupby("family", sort=False):
        rmse = part.set_index("form").rmse
        ahead = 2 * part.points.iloc[0] * np.log(rmse["ln depth"] / max(rmse["1 / depth"], 1e-12))  # as AIC has it
        votes.append(vote(part.falls.all() and ahead > CLOSER, not part.falls.all()))
        cells.append(f"{family}: {rmse['1 / depth']:.3f}, {rmse['ln depth']:.3f}")
    return Claim(
        words="At equal width the loss of language models falls towards a floor as 1 / depth",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic="rmse (bits per byte) of a line in 1 / depth, in ln depth: "
        + ("; ".join(cells) or "no depth ladder"),
        sentence=f"The loss falls with every step in depth and 1 / depth fits better (by {CLOSER:g} in AIC) in "
        f"{votes.count(SUPPORTED)} of {len(votes)} families.",
        caveat="Few depths, few seeds, and the same number of tokens for all: deep models are the least trained.",
    )


def _language_steps(exponents: pd.DataFrame, settings: DepthSettings) -> Claim:
    band, votes, cells = settings.angle_band, [], []
    for family, part in exponents.groupby("family", sort=False):
        rows = part.set_index("network")
        votes.append(beside_control(rows.loc["trained"], rows.loc["untrained"], 1 - band, 1 + band))
        cells.append(f"{family}: {cell(rows.loc['trained'])}, untrained {cell(rows.loc['untrained'])}")
    return Claim(
        words="Layers in the middle of language models turn the hidden state by about 1 / depth",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic="exponent of the step angle, " + ("; ".join(cells) or "no depth ladder"),
        sentence=f"Supported means inside 1 +/- {band:g} where the untrained control is not.",
        caveat="Three points leave one degree of freedom; the first and the last layer are left out.",
    )


def _language_updates(middle: pd.DataFrame, settings: DepthSettings) -> Claim:
    rows = middle.dropna(subset=["update_angle"])
    rows = rows.pivot_table(index="model", columns="network", values="update_angle") / np.pi
    low, high = settings.orthogonal
    votes = [
        vote(low < row.trained < high and not low < row.untrained < high, not low < row.trained < high)
        for row in rows.itertuples()
    ]
    told = len(rows) > 0
    return Claim(
        words="Neighbouring updates in the middle of language models are orthogonal",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"angle over pi {rows.trained.min():.2f} to {rows.trained.max():.2f}, untrained "
        f"{rows.untrained.min():.2f} to {rows.untrained.max():.2f}" if told else "no model has enough layers",
        sentence=f"Between {low:g} and {high:g} in {len(votes) - votes.count(NOT_SUPPORTED)} of {len(votes)} models; "
        f"untrained models are there, too, in {votes.count(INCONCLUSIVE)} of these.",
caveat="Right angles are what random updates have.",
)  # fmt: skip


def _language_matrix(pairs: pd.DataFrame, settings: DepthSettings) -> Claim:
    keys, flat = ["model_a", "model_b", "layers"], settings.flatness
    told = pairs.dropna(subset=["middle_kappa"])
    real = told[told.kind == "real"].set_index(keys)
    excess = real.middle_kappa - told[told.kind == "untrained"].groupby(keys).middle_kappa.mean()
    votes, cells = [], []
    for (a, b, _), row in real.assign(excess=excess).dropna(subset=["excess"]).iterrows():
        among = row.middle_null_low <= row.middle_kappa <= row.middle_null_high
        diagonal = row.middle_kappa > row.middle_null_high and row.excess > flat
        votes.append(vote(not diagonal and among and abs(row.excess) < flat, diagonal))
        low, high = row.middle_null_low, row.middle_null_high
        cells.append(f"{a} and {b}: {row.middle_kappa:.2f} (dealt anew {low:.2f} to {high:.2f}; {row.excess:+.2f})")
    return Claim(
        words="Layers in the middle of language models are exchangeable: their matrix of matches is flat",
        source=f"this study's reading of {PAPER}",
        verdict=combine(votes),
        votes=len(votes),
        statistic="kappa in the middle (with partners dealt anew; beyond untrained models), "
        + ("; ".join(cells) or "no pair has a middle that matches"),
        sentence=f"Flat means among partners dealt anew and within {flat:g} of the untrained control, as in "
        f"{votes.count(SUPPORTED)} of {len(votes)} pairs; diagonal, beyond both, are {votes.count(NOT_SUPPORTED)}.",
        caveat="Only matches of which neither side is in a first or a last layer; pairs share models.",
    )
