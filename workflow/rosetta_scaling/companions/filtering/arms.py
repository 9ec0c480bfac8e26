"""The registry of arms: ways to choose documents, each a function from a case to a score for every document.

All arms may know the probe text of the study with its domains, by which neurons are chosen, too; labelled documents are
given beside it. They differ in what else they look at, and in whether they learn from known documents at all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rosetta_scaling.companions.filtering import neuron_arms, text_arms
from rosetta_scaling.companions.filtering.case import Case

NOTHING, TEXT, NEURONS = "nothing", "text", "neurons"  # what arms look at


@dataclass(frozen=True)
class Arm:
    """One way to choose.

    label   for people
    looks   at NOTHING, TEXT or NEURONS
    labels  whether it learns from labelled documents, so that more of them give another choice
    cost    what it takes, in words
    score   a case -> a score (pool,); documents with the highest are chosen
    """

    label: str
    looks: str
    labels: bool
    cost: str
    score: Callable[[Case], np.ndarray]


FORWARD = "one forward pass"
ARMS: dict[str, Arm] = {
    "random": Arm("random", NOTHING, False, "nothing", text_arms.random),
    "oracle": Arm("oracle", NOTHING, False, "a label of every document", text_arms.oracle),
    "keywords": Arm("keyword rule", TEXT, False, "someone who writes it", text_arms.keywords),
    "classifier": Arm("n-gram classifier", TEXT, True, "a fit", text_arms.classifier),
    "importance": Arm("DSIR", TEXT, True, "counts", text_arms.importance),
    "perplexity": Arm("n-gram perplexity", TEXT, True, "counts", text_arms.perplexity),
    "moore_lewis": Arm("Moore-Lewis", TEXT, True, "counts of the pool", text_arms.moore_lewis),
    "embedding": Arm("embedding similarity", TEXT, True, "an embedding", text_arms.embedding),
    "rosetta_neuron": Arm("one Rosetta neuron", NEURONS, False, FORWARD, neuron_arms.rosetta_neuron),
    "other_neuron": Arm("one other neuron", NEURONS, False, FORWARD, neuron_arms.other_neuron),
    "matched_neuron": Arm("random neuron, matched", NEURONS, False, FORWARD, neuron_arms.matched_neuron),
    "labelled_neuron": Arm("best neuron by labels", NEURONS, True, FORWARD, neuron_arms.labelled_neuron),
    "probe": Arm("linear probe", NEURONS, True, f"{FORWARD}, a fit", neuron_arms.probe),
    "nag": Arm("NAG", NEURONS, True, FORWARD, neuron_arms.nag),
    "nag_rosetta": Arm("NAG, Rosetta neurons", NEURONS, True, FORWARD, neuron_arms.nag_rosetta),
    "nag_others": Arm("NAG, other neurons", NEURONS, True, FORWARD, neuron_arms.nag_others),
}
ALL_DATA, START = "all_data", "start"  # what networks are trained on beside choices: the whole pool, or nothing
