"""Verdicts on data filtering; every target votes (see claims/verdicts.py)."""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.verdicts import SUPPORTED, Claim, combine, labelled, votes_inside
from rosetta_scaling.companions.filtering.arms import ALL_DATA
from rosetta_scaling.companions.filtering.results import CLASSIFIER, MATCHED, NAG, OTHERS, SIZE
from rosetta_scaling.config.companions.filtering import FilteringSettings

PAPER = "Dravid et al. 2026, arXiv 2606.03990, section 5.3"
OURS = "tested here first"


def judge(tables: dict[str, pd.DataFrame], settings: FilteringSettings) -> list[Claim]:
    """The claims about tables contrasts and training."""
    contrasts, training = tables["contrasts"], tables["training"]
    return [
        _better_than_others(contrasts),
        _no_worse_than_a_classifier(contrasts, settings),
        _trains_as_well(training, settings),
        _better_with_size(contrasts),
        _better_than_matched(contrasts),
        _rosetta_sets(contrasts),
        _better_than_all_data(training),
        _oracle_helps(training),
    ]


def _contrast(
    contrasts: pd.DataFrame,
    comparison: str,
    sentence: str,
    *,
    floor: float = 0.0,
    measure: str = "difference of F1",
    **of,
) -> Claim:
    """A claim that a comparison lies above `floor`; WON in `sentence` stands for how many targets support it."""
    rows = contrasts[contrasts.comparison == comparison]
    votes = votes_inside(rows, floor, np.inf)
    return Claim(
        verdict=combine(votes),
        votes=len(votes),
        statistic=f"{measure}: {labelled(rows, ['task'], 'difference')}",
        sentence=sentence.replace("WON", f"{votes.count(SUPPORTED)} of {len(votes)} targets"),
        **of,
    )


def _better_than_others(contrasts: pd.DataFrame) -> Claim:
    return _contrast(
        contrasts,
        OTHERS,
        "The mean difference of F1 over networks is surely positive for WON.",
        words="One Rosetta neuron selects better than one chosen by the same rule among the others",
        source=PAPER,
        caveat="The rule takes the best of each set, and the sets differ in size (see the table of chosen neurons): "
        "the larger one has the wider choice.",
    )


def _no_worse_than_a_classifier(contrasts: pd.DataFrame, settings: FilteringSettings) -> Claim:
    return _contrast(
        contrasts,
        CLASSIFIER,
        f"It surely loses less than {settings.no_worse:g} of F1 for WON; over networks and over draws of the labels.",
        floor=-settings.no_worse,
        words=f"One Rosetta neuron selects no worse than an n-gram classifier with {settings.training_labels} labels",
        source=OURS,
        caveat="Both know the probe text with its domains. Networks have read a part of the pool once, without labels.",
    )


def _trains_as_well(training: pd.DataFrame, settings: FilteringSettings) -> Claim:
    rows = training[training.arm == "rosetta_neuron"]
    votes = votes_inside(rows, -np.inf, settings.tolerance, low="lost_low", high="lost_high")
    return Claim(
        words="What one Rosetta neuron selects trains as well as the oracle's choice",
        source=PAPER,
        verdict=combine(votes),
        votes=len(votes),
        statistic="share of the oracle's gain that is lost, by target and learning rate: "
        + labelled(rows, ["task", "learning_rate"], "lost", low="lost_low", high="lost_high"),
        sentence=f"Surely less than {settings.tolerance:.0%} of what the oracle's choice gains over random text is "
        f"lost for {votes.count(SUPPORTED)} of {len(votes)} targets and learning rates.",
        caveat="One small network is trained further, five times or so: seeds are its only replicates.",
    )


def _better_with_size(contrasts: pd.DataFrame) -> Claim:
    return _contrast(
        contrasts,
        SIZE,
        "The slope of F1 on the logarithm of the number of neurons is surely positive for WON.",
        measure="slope of F1 per tenfold neurons",
        words="The choice of one Rosetta neuron gets better with size",
        source=OURS,
        caveat="Where the smallest network chooses without a fault, nothing can get better.",
    )


def _better_than_matched(contrasts: pd.DataFrame) -> Claim:
    return _contrast(
        contrasts,
        MATCHED,
        "The mean difference of F1 over networks is surely positive for WON.",
        words="One Rosetta neuron selects better than random neurons of its layer, mean and variance",
        source=OURS,
        caveat="This is about the rule as much as about Rosetta neurons: nobody chose the random ones.",
    )


def _rosetta_sets(contrasts: pd.DataFrame) -> Claim:
    return _contrast(
        contrasts,
        NAG,
        "NAG with Rosetta neurons surely has the higher F1 for WON.",
        words="A set of Rosetta neurons selects better than as many others",
        source="NAG (arXiv 2604.15706), which takes all neurons",
        caveat="Both sets have the same size in every layer; of the larger one random neurons are taken.",
    )


def _better_than_all_data(training: pd.DataFrame) -> Claim:
    rows = training[training.arm == ALL_DATA]
    votes = votes_inside(rows, 0, np.inf, low="lost_low", high="lost_high")
    return Claim(
        words="A perfect choice trains better than all data, with the same compute",
        source="Mohri et al. 2026, arXiv 2605.19407, who find the opposite with enough compute",
        verdict=combine(votes),
        votes=len(votes),
        statistic="share of the oracle's gain over random text that is lost, by target and learning rate: "
        + labelled(rows, ["task", "learning_rate"], "lost", low="lost_low", high="lost_high"),
        sentence=f"All data surely loses some of the oracle's gain for {votes.count(SUPPORTED)} of {len(votes)} "
        "targets and learning rates.",
        caveat="The loss is that on the target alone, and the compute is small.",
    )


def _oracle_helps(training: pd.DataFrame) -> Claim:
    rows = training[training.arm == "random"]
    votes = votes_inside(rows, 0, np.inf, low="lost_low", high="lost_high")
    return Claim(
        words="The oracle's choice trains better than random text",
        source="precondition of this study",
        verdict=combine(votes),
        votes=len(votes),
        statistic="difference over its mean, by target and learning rate: "
        + labelled(rows, ["task", "learning_rate"], "lost", low="lost_low", high="lost_high"),
        sentence=f"The loss on the target surely is lower for {votes.count(SUPPORTED)} of {len(votes)} targets and "
        "learning rates; where it were not, no choice could be told from another by its loss.",
        caveat="All seeds start from one network.",
    )
