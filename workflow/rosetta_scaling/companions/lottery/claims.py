"""What the lottery study's numbers say of the paper's claims, by rules fixed beforehand (see verdicts.py).

Every claim has to hold at both training lengths, which are all there is to tell a law from a protocol. Each has a
`caveat` beside its sentence.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.verdicts import NOT_SUPPORTED, SUPPORTED, Claim, combine, inside, labelled, votes_inside
from rosetta_scaling.companions.lottery.link_claims import OURS, PAPER, judge_links
from rosetta_scaling.config.companions.lottery import LotterySettings

PROTOCOL = (
    "The paper's optimiser, schedule and widths could not be found; this study's protocol was fixed before its results."
)


def judge(tables: dict[str, pd.DataFrame], settings: LotterySettings) -> list[Claim]:
    """All claims of the lottery study, each with a caveat."""
    return [
        _near_one(tables["fits"], tables["curves"], settings),
        _from_the_start(tables["slopes"], settings),
        _approximation(tables["slopes"], tables["losses"], settings),
        _steeper(tables["differences"]),
        _bends(tables["slopes"], settings),
        _same_at_both_lengths(tables["differences"], settings),
        _ticket(tables["modes"], tables["tickets"], settings),
        _variance(tables["ensembles"], settings),
        _as_good_as_wide(tables["ensembles"], settings),
        *judge_links(tables, settings),
    ]


def _near_one(fits: pd.DataFrame, curves: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows, off = fits[fits.activation == "silu"], settings.tolerance
    votes = votes_inside(rows, -1 - off, -1 + off)
    return Claim(
        words=f"The loss of SiLU networks falls about as 1 / width from width {rows['first'].iloc[0]} to "
        f"{rows['last'].iloc[0]}",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"exponent by steps {labelled(rows, ['steps'], 'alpha')}, n = {rows.points.iloc[0]} widths",
        sentence=f"The exponent of the median loss lies within {off:g} of -1 at {votes.count(SUPPORTED)} of "
        f"{len(votes)} training lengths. Its interval holds both the scatter of the widths about the line and that of "
        f"the seeds, which alone would give {labelled(rows, ['steps'], 'alpha', low='seeds_low', high='seeds_high')}.",
        caveat=f"{PROTOCOL} A window chosen otherwise gives another exponent: all local slopes are shown. Where the "
        "loss is that of the step size, its exponent says nothing of the width: from the first to the last width of "
        "the window, the training loss when the learning rate begins to fall changes by a factor of "
        f"{_before_the_fall(curves, settings)}.",
    )


def _before_the_fall(curves: pd.DataFrame, settings: LotterySettings) -> str:
    """How much the loss of SiLU networks changes over the window while the learning rate is still constant."""
    cells = []
    for steps, part in curves[curves.activation == "silu"].groupby("steps"):
        part = part[part.step <= max(settings.constant * steps, 1)]
        losses = part[part.step == part.step.max()].set_index("width").loss
        first, last = (losses[width] for width in (settings.within(settings.window)[i] for i in (0, -1)))
        cells.append(f"{last / first:.2g} ({steps:,} steps)")
    return " and ".join(cells)


def _from_the_start(slopes: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows, off = slopes[slopes.activation == "silu"], settings.tolerance
    votes = votes_inside(rows, -1 - off, -1 + off)
    return Claim(
        words="The loss of SiLU networks falls as 1 / width from the smallest width on",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"local slopes by steps and width {labelled(rows, ['steps', 'width'], 'slope')}",
        sentence=f"Of {len(votes)} local slopes, {votes.count(SUPPORTED)} lie surely within {off:g} of -1 and "
        f"{votes.count(NOT_SUPPORTED)} surely do not.",
        caveat="At the smallest widths the median follows the share of seeds in bad minima, not their tickets.",
    )


def _approximation(slopes: pd.DataFrame, losses: pd.DataFrame, settings: LotterySettings) -> Claim:
    first, last = settings.small_window
    rows = slopes[(slopes.activation == "relu") & (slopes.width >= first) & (slopes.next_width <= last)]
    off = settings.small_tolerance
    votes = [
        inside(low, high, guide - off, guide + off)
        for low, high, guide in zip(rows.low, rows.high, rows.optimum_slope, strict=True)
    ]
    small = losses[(losses.activation == "relu") & losses.width.between(first, last)]
    best = (small.best / small.optimum).groupby(small.width).min()
    guide = ", ".join(f"{slope:.2f}" for slope in rows.optimum_slope.unique())
    return Claim(
        words=f"The loss of ReLU networks falls as approximation theory says (to the power -4) from width {first} to "
        f"{last}",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"local slopes by steps and width {labelled(rows, ['steps', 'width'], 'slope')}",
        sentence="The best piecewise linear function that width neurons can make has the error 64/45 (width + 1)^-4, "
        f"whose local slopes are {guide}; of {len(votes)} slopes, {votes.count(SUPPORTED)} lie within {off:g} of these "
        f"and {votes.count(NOT_SUPPORTED)} surely do not. The best seed exceeds that error by factors of "
        f"{', '.join(f'{ratio:.2f} (width {width})' for width, ratio in best.items())}.",
        caveat="Theory bounds the best network; what is trained, and its median, need not follow the bound.",
    )


def _steeper(differences: pd.DataFrame) -> Claim:
    rows = differences[(differences.of == "relu less silu") & (differences.quantity == "alpha")]
    votes = votes_inside(rows, -np.inf, 0)
    return Claim(
        words="The loss of ReLU networks falls more steeply with width than that of SiLU networks",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"difference of exponents {labelled(rows, ['within'], 'value')}",
        sentence=f"In the same window, ReLU's exponent is below SiLU's at {votes.count(SUPPORTED)} of {len(votes)} "
        "training lengths. These intervals are of seeds alone, resampled in pairs that start from the same networks.",
        caveat=PROTOCOL,
    )


def _bends(slopes: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows = slopes[(slopes.activation == "relu") & (slopes.next_width == max(settings.widths))]
    votes = votes_inside(rows, -1 - settings.tolerance, -1 + settings.tolerance)
    return Claim(
        words="The loss of ReLU networks bends to 1 / width at the largest widths",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"last local slope by steps {labelled(rows, ['steps'], 'slope')}; on the training inputs "
        + " and ".join(f"{slope:.2f}" for slope in rows.train_slope),
        sentence=f"From width {rows.width.iloc[0]} to {rows.next_width.iloc[0]} the slope lies within "
        f"{settings.tolerance:g} of -1 at {votes.count(SUPPORTED)} of {len(votes)} training lengths.",
        caveat=f"The paper has widths up to 10,000. Beyond {settings.points} neurons a ReLU network can memorise "
        "its training inputs, so that slopes between them and on them part.",
    )


def _same_at_both_lengths(differences: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows = differences[differences.of == "longer less shorter"]
    decades, rows = rows[rows.quantity == "decades"], rows[rows.quantity == "alpha"]
    votes = votes_inside(rows, -settings.tolerance, settings.tolerance)
    return Claim(
        words="The exponents do not depend on the length of training",
        source=OURS,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"difference of exponents {labelled(rows, ['within'], 'value')}",
        sentence=f"From {settings.steps[0]:,} to {settings.steps[1]:,} steps the exponent changes by less than "
        f"{settings.tolerance:g} for {votes.count(SUPPORTED)} of {len(votes)} activations, while the loss changes by "
        f"powers of ten: {labelled(decades, ['within'], 'value')}.",
        caveat="Two lengths do not make a limit.",
    )


def _ticket(modes: pd.DataFrame, tickets: pd.DataFrame, settings: LotterySettings) -> Claim:
    votes, cells = [], []
    for steps in settings.steps:
        part, seeds = (table[(table.activation == "silu") & (table.steps == steps)] for table in (modes, tickets))
        if part.empty:  # so many modes that none has enough seeds
            votes.append(NOT_SUPPORTED)
            continue
        best = part.sort_values("mode").iloc[0]
        rest = seeds[seeds["mode"] > best["mode"]].asymmetry
        holds = len(part) >= settings.least_modes and best.asymmetry < settings.close
        votes.append(SUPPORTED if holds and rest.median() > settings.asymmetric else NOT_SUPPORTED)
        others = f"{rest.median():.2f} in worse ones, " if len(rest) else ""
        cells.append(
            f"{steps} steps: {len(part)} modes; asymmetry {best.asymmetry:.3f} in the best ({best.share:.0%} of the "
            f"seeds, loss {best.loss:.1e}), {others}{best.null_untrained:.2f} untrained"
        )
    return Claim(
        words="Losses of SiLU networks with two neurons fall into several modes, and the best mode is the symmetric "
        "pair",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic="; ".join(cells) or "no mode has enough seeds",
        sentence=f"A mode needs {settings.mode_share:.0%} of the seeds. There have to be {settings.least_modes} or "
        f"more, the median asymmetry of the best below {settings.close:g} and that of all seeds in worse ones above "
        f"{settings.asymmetric:g}, where 0 is a perfect pair.",
        caveat="Which mode a seed reaches depends on initial values; a pair fits x^2 as closely as one likes, so "
        "that the loss of the best mode says how long it was trained. That modes are discrete is not tested: they are "
        "what a smoothed density is cut into at its minima.",
    )


def _variance(ensembles: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows = ensembles[(ensembles.activation == "silu") & (ensembles.k == 1)]
    rows = rows[rows.width.isin(settings.within(settings.window))]
    votes = votes_inside(rows, 0.5, np.inf, low="variance_share_low", high="variance_share_high")
    ends = {"low": "variance_share_low", "high": "variance_share_high"}
    cells = labelled(rows, ["steps", "group", "width"], "variance_share", **ends)
    return Claim(
        words="The error of a SiLU network is mostly variance between seeds, which averaging removes as 1 / k",
        source=f"{PAPER}: the central limit theorem behind the exponent",
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"variance as a share of bias squared and variance, by steps, seeds and width: {cells}",
        sentence=f"The share is surely above one half for {votes.count(SUPPORTED)} of {len(votes)} sets of networks "
        f"and surely below for {votes.count(NOT_SUPPORTED)}. What networks have in common, their bias, no average "
        "removes.",
        caveat="Whole networks are averaged here; the theory speaks of parts of one network, trained together.",
    )


def _as_good_as_wide(ensembles: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows = ensembles[(ensembles.activation == "silu") & (ensembles.group == "good half") & (ensembles.k > 1)]
    rows = rows[rows.ratio.notna()]
    votes = votes_inside(rows, 1 / settings.ensemble_ratio, settings.ensemble_ratio, low="ratio_low", high="ratio_high")
    worse = (rows.ratio_low > settings.ensemble_ratio).sum()
    return Claim(
        words="An average of k SiLU networks is as good as one network that is k times as wide",
        source=f"{PAPER}: wide networks as ensembles",
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"loss of the average / median loss of the wide network: {rows.ratio.min():.2g} to "
        f"{rows.ratio.max():.2g}",
        sentence=f"The better half of the seeds is averaged. Of {len(votes)} combinations of length, width and k, the "
        f"losses are within a factor of {settings.ensemble_ratio:g} in {votes.count(SUPPORTED)}, and the average is "
        f"surely worse than that in {worse}.",
        caveat="Equal losses would not show that the wide network is an average, only that it could be.",
    )
