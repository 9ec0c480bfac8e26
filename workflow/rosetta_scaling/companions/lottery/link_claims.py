"""Verdicts on symmetric pairs and on neurons that networks share (see claims.py)."""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.verdicts import NOT_SUPPORTED, SUPPORTED, Claim, combine, labelled, vote, votes_inside
from rosetta_scaling.companions.lottery.activations import ONE_DIMENSION
from rosetta_scaling.config.companions.lottery import TARGETS, LotterySettings

PAPER = "Liu & Tegmark 2023, arXiv 2310.02258"
OURS = "tested here first"


def judge_links(tables: dict[str, pd.DataFrame], settings: LotterySettings) -> list[Claim]:
    """The claims about tables pairs, matches and activations."""
    return [
        _pairs(tables["pairs"], settings),
        _shared(tables["matches"], settings),
        _flat(tables["activations"], settings),
        _directions(tables["activations"]),
        _distinct(tables["activations"]),
    ]


def _pairs(pairs: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows = pairs[(pairs.activation == "silu") & (pairs.width >= settings.window[0])]
    votes = votes_inside(rows, 0, np.inf, low="excess_low", high="excess_high")
    return Claim(
        words="Wide SiLU networks consist of symmetric pairs",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic="share of neurons in pairs beyond the largest null, by steps and width: "
        + labelled(rows, ["steps", "width"], "excess", low="excess_low", high="excess_high"),
        sentence="There are more pairs than in every null (mirror partners in another network, signs drawn anew, "
        f"untrained) at {votes.count(SUPPORTED)} of {len(votes)} sizes and lengths; neurons in pairs are "
        f"{rows.share.min():.1%} to {rows.share.max():.1%} of all.",
        caveat=f"A pair differs by less than {settings.close:g} of its length: a looser rule finds more pairs, and "
        "more in the nulls.",
    )


def _shared(matches: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows = matches[matches.width >= settings.window[0]]
    votes = votes_inside(rows, 0, np.inf, low="excess_low", high="excess_high")
    return Claim(
        words="Networks trained from different seeds share neurons, by their parameters",
        source=OURS,
        verdict=combine(votes),
        votes=len(votes),
        statistic="share of neurons beyond the larger null, by activation, steps and width: "
        + labelled(rows, ["activation", "steps", "width"], "excess", low="excess_low", high="excess_high"),
        sentence="More neurons have their like in another network than before training, and than if w, b and v were "
        f"dealt anew among all neurons, at {votes.count(SUPPORTED)} of {len(votes)} combinations, and surely not more "
        f"at {votes.count(NOT_SUPPORTED)}. Shares are {rows.share.min():.1%} to {rows.share.max():.1%}; the share with "
        f"their like in their own network is {rows.copies.min():.1%} to {rows.copies.max():.1%}.",
        caveat="Neurons dealt anew keep the distribution of each parameter. Trained neurons that only crowd along "
        "one curve of (w, b, v) exceed them too, but are then as close to neurons of their own network.",
    )


def _flat(activations: pd.DataFrame, settings: LotterySettings) -> Claim:
    rows = activations[activations.target == ONE_DIMENSION]
    limit = 1 - settings.match_r
    votes = votes_inside(rows, -limit, limit, low="excess_low", high="excess_high")
    return Claim(
        words="In one dimension, matching by activations does not tell trained networks from untrained ones",
        source=OURS,
        verdict=combine(votes),
        votes=len(votes),
        statistic="share of neurons matched beyond the untrained null, by activation and width: "
        + labelled(rows, ["activation", "width"], "excess", low="excess_low", high="excess_high"),
        sentence=f"The share of trained networks differs from that of untrained ones by less than {limit:.0%} of all "
        f"neurons at {votes.count(SUPPORTED)} of {len(votes)} combinations; untrained networks match "
        f"{rows.null_untrained.min():.0%} to {rows.null_untrained.max():.0%} of their neurons.",
        caveat="Curves on an interval correlate whatever they mean; nothing here is about language models.",
    )


def _directions(activations: pd.DataFrame) -> Claim:
    rows = activations[activations.target == "distinct"]
    votes = votes_inside(rows, 0, np.inf, low="excess_low", high="excess_high")
    return Claim(
        words="On a quadratic form with distinct eigenvalues, trained networks share neurons by activations",
        source=OURS,
        verdict=combine(votes),
        votes=len(votes),
        statistic="share of neurons matched beyond the untrained null, by activation and width: "
        + labelled(rows, ["activation", "width"], "excess", low="excess_low", high="excess_high"),
        sentence=f"Trained networks have more matches than untrained ones at {votes.count(SUPPORTED)} of {len(votes)} "
        f"combinations; the share of their neurons is {rows.share.min():.1%} to {rows.share.max():.1%}, untrained at "
        f"most {rows.null_untrained.max():.1%}.",
        caveat="Smooth activations leave rotations open that keep the quadratic form: few matches are no failure.",
    )


def _distinct(activations: pd.DataFrame) -> Claim:
    keys = ["activation", "width"]
    kinds = [activations[activations.target == target] for target in TARGETS]
    both = kinds[0].merge(kinds[1], on=keys, suffixes=("", "_isotropic"))
    votes = [vote(one.low > one.high_isotropic, one.high <= one.low_isotropic) for one in both.itertuples()]
    cells = [
        f"{one.activation} {one.width}: {one.share:.3f} and {one.share_isotropic:.3f}" for one in both.itertuples()
    ]
    return Claim(
        words="Networks share more neurons where the task tells directions apart",
        source=OURS,
        verdict=combine(votes),
        votes=len(votes),
        statistic="share of neurons matched, distinct and equal eigenvalues, by activation and width: "
        f"{'; '.join(cells)}",
        sentence="With distinct eigenvalues the interval of the share lies above that with equal ones, where every "
        f"rotation of a solution is a solution, at {votes.count(SUPPORTED)} of {len(votes)} combinations, and below at "
        f"{votes.count(NOT_SUPPORTED)}.",
        caveat="Both targets have the same variance and start from the same networks; their losses differ.",
    )
