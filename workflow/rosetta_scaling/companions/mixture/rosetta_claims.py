"""Claims about networks with ReLU on the mixture: what neurons are given to, and which of them are Rosetta."""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.counts import ABSENT
from rosetta_scaling.claims.verdicts import (
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    cell,
    combine,
    inside,
    span,
    vote,
    votes_inside,
)
from rosetta_scaling.config.companions.mixture import MixtureSettings

PAPER = "Huang et al. 2026, arXiv 2605.29548"
LINK = "this study's link to Rosetta neurons"
FORM = ".3g"  # of numbers that span orders of magnitude


def judge_rosetta(tables: dict[str, pd.DataFrame], settings: MixtureSettings) -> list[Claim]:
    """All of them, as claims.judge gives them."""
    return [
        _relu_utility(tables["relu"], settings),
        _critical(tables["critical"], settings),
        _count(tables["exponents"], settings),
        _share(tables["counts"], settings),
        _null(tables["counts"]),
    ]


def _relu_utility(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    rows = rows[~rows.tied & (rows.width < settings.tasks.total)]
    floor = settings.relu.kept
    votes = votes_inside(rows, floor, np.inf, low="useful_low", high="useful_high")
    return Claim(
        words="Neurons of networks with ReLU are given to features in order of utility",
        source=f"{PAPER}, theorem 3, beyond the linear case",
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"share of the features found that are among the N most useful: {span(rows.useful)}; of those of "
        f"the most frequent tasks: {span(rows.frequent)}",
        sentence=f"It is surely above {floor:.0%} at {votes.count(SUPPORTED)} of {len(votes)} widths that have fewer "
        f"neurons than there are features, and surely below at {votes.count(NOT_SUPPORTED)}.",
        caveat="Networks of one width differ in first weights only, and see the loss over endless data. Where a neuron "
        "of a linear network would turn to a better feature, one with ReLU may be stuck: losses are "
        f"{span(100 * rows.excess, '.0f')} percent above the closed form. Widths at which utilities tie are left out.",
    )


def _critical(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    factor = settings.relu.factor
    votes = votes_inside(rows, 1 / factor, factor, low="ratio_low", high="ratio_high")
    cells = [
        f"task {row.task}: {row.rosetta:.1f} and {row.recovered:.1f} for {row.predicted:.1f}"
        for row in rows.itertuples()
    ]
    return Claim(
        words="A task's features become Rosetta at the width that utility predicts",
        source=LINK,
        verdict=combine(votes),
        votes=len(votes),
        statistic="width at which half of them are Rosetta, and at which half have a neuron in a network, for "
        "predicted: " + "; ".join(cells),
        sentence=f"Their ratio is surely within a factor of {factor:g} for {votes.count(SUPPORTED)} of {len(votes)} "
        f"tasks, and surely beyond it for {votes.count(NOT_SUPPORTED)}.",
        caveat=f"Rosetta among {settings.relu.seeds} networks: with more of them in a set it takes a larger width, "
        "since one that lacks the feature is enough. The prediction is about one network that is optimal. What it "
        "takes until all agree depends on how near the next utilities are.",
    )


def _count(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    rows, slope = rows.set_index("of"), settings.relu.slope
    votes = [
        inside(row.low, row.high, row.expected - slope, row.expected + slope)
        for _, row in rows.loc[["growing", "spare"]].iterrows()
    ]
    return Claim(
        words="Rosetta neurons grow in proportion to width until every feature has one, and then no more",
        source=LINK,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"exponent up to {settings.tasks.total} neurons {cell(rows.loc['growing'], 'exponent', FORM)}, from "
        f"there on {cell(rows.loc['spare'], 'exponent', FORM)}",
        sentence=f"Each has to lie within {slope:g} of 1 and of 0.",
        caveat=f"Fitted to {rows.points['growing']} and {rows.points['spare']} widths, all that the study has on "
        "either side.",
    )


def _share(rows: pd.DataFrame, settings: MixtureSettings) -> Claim:
    own = rows[(rows.kind == "trained") & (rows.width >= settings.tasks.total)]
    full, spare = own.iloc[0], own.iloc[-1]
    drop = full.neurons_low / full.width > spare.neurons_high / spare.width
    rise = full.neurons_high / full.width <= spare.neurons_low / spare.width
    return Claim(
        words="The Rosetta share of neurons falls once neurons are to spare",
        source=LINK,
        verdict=vote(drop, rise),
        statistic=f"share at width {full.width} {full.neurons / full.width:.2f}, at width {spare.width} "
        f"{spare.neurons / spare.width:.2f}",
        sentence=f"An anchor has {full.neurons:.1f} Rosetta neurons at width {full.width} and {spare.neurons:.1f} at "
        f"{spare.width}; {spare.copies:.1f} of these {spare.width} neurons copy another one of their network.",
        caveat="With copies every feature can have neurons in all networks and yet no Rosetta neuron, since of several "
        "equal partners one is best by chance. In a world of finitely many features a share has to fall in the end; "
        "the law of real networks is about worlds that are not exhausted.",
    )


def _null(rows: pd.DataFrame) -> Claim:
    found = rows.pivot_table(values="neurons", index="width", columns="kind")
    found = found[found.trained > 0]
    share = found[["untrained", "rotated"]].div(found.trained, axis=0)
    votes = [SUPPORTED if one < ABSENT else NOT_SUPPORTED for one in share.max(axis=1)]
    return Claim(
        words="Networks that share no features share no neurons",
        source=LINK,
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"untrained over trained: {span(share.untrained)}; rotated over trained: {span(share.rotated)}",
        sentence=f"Neither untrained networks nor trained ones that were rotated reach {ABSENT:.0%} of the count at "
        f"{votes.count(SUPPORTED)} of {len(votes)} widths that have any Rosetta neurons.",
        caveat="The nulls are as good as none because directions in many dimensions are nearly orthogonal; with few "
        "inputs they would not be.",
    )
