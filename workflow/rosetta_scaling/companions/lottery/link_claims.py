"""Verdicts on symmetric pairs and on neurons that networks share (see lottery_claims.py)."""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.counts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, claim, combine, inside
from rosetta_scaling.companions.lottery.activations import ONE_DIMENSION
from rosetta_scaling.config.companions.lottery import TARGETS, LotterySettings

PAPER = "Liu & Tegmark 2023, arXiv 2310.02258"
OURS = "tested here first"


def judge_links(tables: dict[str, pd.DataFrame], settings: LotterySettings) -> list[dict]:
    """The claims about tables pairs, matches and activations."""
    return [
        _pairs(tables["pairs"], settings),
        _shared(tables["matches"], settings),
        _flat(tables["activations"], settings),
        _directions(tables["activations"]),
        _distinct(tables["activations"]),
    ]


def by(rows: pd.DataFrame, names: list[str], value: str, low: str = "low", high: str = "high") -> str:
    """Every row as `name name: value [low, high]`."""
    cells = [
        f"{' '.join(map(str, label))}: {middle:.2f} [{bottom:.2f}, {top:.2f}]"
        for *label, middle, bottom, top in rows[[*names, value, low, high]].itertuples(index=False, name=None)
    ]
    return "; ".join(cells)


def votes_of(rows: pd.DataFrame, floor: float, ceiling: float, low: str = "low", high: str = "high") -> list[str]:
    return [inside(a, b, floor, ceiling) for a, b in zip(rows[low], rows[high], strict=True)]


def _pairs(pairs: pd.DataFrame, settings: LotterySettings) -> dict:
    rows = pairs[(pairs.activation == "silu") & (pairs.width >= settings.window[0])]
    votes = votes_of(rows, 0, np.inf, "excess_low", "excess_high")
    return claim(
        "Wide SiLU networks consist of symmetric pairs",
        PAPER,
        combine(votes),
        "share of neurons in pairs beyond the largest null, by steps and width: "
        + by(rows, ["steps", "width"], "excess", "excess_low", "excess_high"),
        f"There are more pairs than in every null (mirror partners in another network, signs drawn anew, untrained) "
        f"at {votes.count(SUPPORTED)} of {len(votes)} sizes and lengths; neurons in pairs are {rows.share.min():.1%} "
        f"to {rows.share.max():.1%} of all.",
        f"A pair differs by less than {settings.close:g} of its length: a looser rule finds more pairs, and "
        "more in the nulls.",
    )


def _shared(matches: pd.DataFrame, settings: LotterySettings) -> dict:
    rows = matches[matches.width >= settings.window[0]]
    votes = votes_of(rows, 0, np.inf, "excess_low", "excess_high")
    return claim(
        "Networks trained from different seeds share neurons, by their parameters",
        OURS,
        combine(votes),
        "share of neurons beyond the larger null, by activation, steps and width: "
        + by(rows, ["activation", "steps", "width"], "excess", "excess_low", "excess_high"),
        f"More neurons have their like in another network than before training, and than if w, b and v were dealt "
        f"anew among all neurons, at {votes.count(SUPPORTED)} of {len(votes)} combinations, and surely not more at "
        f"{votes.count(NOT_SUPPORTED)}. Shares are {rows.share.min():.1%} to {rows.share.max():.1%}; the share with "
        f"their like in their own network is {rows.copies.min():.1%} to {rows.copies.max():.1%}.",
        "Neurons dealt anew keep the distribution of each parameter. Trained neurons that only crowd along "
        "one curve of (w, b, v) exceed them too, but are then as close to neurons of their own network.",
    )


def _flat(activations: pd.DataFrame, settings: LotterySettings) -> dict:
    rows = activations[activations.target == ONE_DIMENSION]
    limit = 1 - settings.match_r
    votes = votes_of(rows, -limit, limit, "excess_low", "excess_high")
    return claim(
        "In one dimension, matching by activations does not tell trained networks from untrained ones",
        OURS,
        combine(votes),
        "share of neurons matched beyond the untrained null, by activation and width: "
        + by(rows, ["activation", "width"], "excess", "excess_low", "excess_high"),
        f"The share of trained networks differs from that of untrained ones by less than {limit:.0%} of all neurons at "
        f"{votes.count(SUPPORTED)} of {len(votes)} combinations; untrained networks match "
        f"{rows.null_untrained.min():.0%} to {rows.null_untrained.max():.0%} of their neurons.",
        "Curves on an interval correlate whatever they mean; nothing here is about language models.",
    )


def _directions(activations: pd.DataFrame) -> dict:
    rows = activations[activations.target == "distinct"]
    votes = votes_of(rows, 0, np.inf, "excess_low", "excess_high")
    return claim(
        "On a quadratic form with distinct eigenvalues, trained networks share neurons by activations",
        OURS,
        combine(votes),
        "share of neurons matched beyond the untrained null, by activation and width: "
        + by(rows, ["activation", "width"], "excess", "excess_low", "excess_high"),
        f"Trained networks have more matches than untrained ones at {votes.count(SUPPORTED)} of {len(votes)} "
        f"combinations; the share of their neurons is {rows.share.min():.1%} to {rows.share.max():.1%}, untrained at "
        f"most {rows.null_untrained.max():.1%}.",
        "Smooth activations leave rotations open that keep the quadratic form: few matches are no failure.",
    )


def _distinct(activations: pd.DataFrame) -> dict:
    keys = ["activation", "width"]
    kinds = [activations[activations.target == target] for target in TARGETS]
    both = kinds[0].merge(kinds[1], on=keys, suffixes=("", "_isotropic"))
    votes = [
        SUPPORTED if one.low > one.high_isotropic else NOT_SUPPORTED if one.high <= one.low_isotropic else INCONCLUSIVE
        for one in both.itertuples()
    ]
    cells = [
        f"{one.activation} {one.width}: {one.share:.3f} and {one.share_isotropic:.3f}" for one in both.itertuples()
    ]
    return claim(
        "Networks share more neurons where the task tells directions apart",
        OURS,
        combine(votes),
        f"share of neurons matched, distinct and equal eigenvalues, by activation and width: {'; '.join(cells)}",
        f"With distinct eigenvalues the interval of the share lies above that with equal ones, where every rotation of "
        f"a solution is a solution, at {votes.count(SUPPORTED)} of {len(votes)} combinations, and below at "
        f"{votes.count(NOT_SUPPORTED)}.",
        "Both targets have the same variance and start from the same networks; their losses differ.",
    )
