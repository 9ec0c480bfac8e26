"""The metrics of selectivity: how narrow a neuron's response, or what it writes, is.

Everything that a metric is, apart from its arithmetic, stands here, and every other room reads it. To add one: an entry
here, and its column in the table of neurons, which the file of its side in selectivity/ computes.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric; of each, larger is more selective.

    name        its column in the tables of neurons, and its name on the pages
    meaning     what it measures, in words
    side        what of a neuron it looks at: its "input" (activations over units), its "output" (what it writes to the
                vocabulary), or its "contexts" (the samples on which it is strongest)
    modalities  of networks in which it is defined
    determined  mean, variance and share of active units nearly determine it: beside other neurons that are alike in
                these, nothing can be left of it, so a claim about it can be refuted, but not supported
    null        column of what it is by chance, which is taken off it; None where chance has no part in it
    """

    name: str
    meaning: str
    side: Literal["input", "output", "contexts"]
    modalities: tuple[str, ...] = ("text", "image")
    determined: bool = False
    null: str | None = None


LEAST = 5  # neurons in a set whose effect is told

OVER_VOCABULARY = "over the vocabulary of the cosine between what a neuron writes and the unembedding"
FOLDED = "with the gain of the final norm folded in, and centred"

# Hoyer's sparsity ranks neurons as that of Treves and Rolls does, so only one of the two is here.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("vocab_kurtosis", f"excess kurtosis {OVER_VOCABULARY}", "output", ("text",)),
        Metric("vocab_kurtosis_folded", f"the same {FOLDED}", "output", ("text",)),
        Metric("vocab_skewness", f"skewness {OVER_VOCABULARY}", "output", ("text",)),
        Metric("vocab_variance", f"variance {OVER_VOCABULARY}", "output", ("text",)),
        Metric("activation_kurtosis", "excess kurtosis of the activation over units", "input"),
        Metric("skewness", "skewness of the activation over units", "input"),
        Metric(
            "gini",
            "concentration of the magnitude of the activation on few units (Gini coefficient, every eighth unit)",
            "input",
            determined=True,
        ),
        Metric(
            "hoyer",
            "concentration of the magnitude of the activation on few units (Hoyer's sparsity)",
            "input",
            determined=True,
        ),
        Metric(
            "token_information",
            "bits that the activity tells about the text of the unit, less what it tells when texts are displaced by "
            "whole documents",
            "input",
            ("text",),
            null="token_information_null",
        ),
        Metric(
            "domain_information",
            "bits that the activity tells about the domain, less what it tells with domains dealt anew to documents",
            "input",
            null="domain_information_null",
        ),
        Metric(
            "monoscore",
            "mean cosine between the embeddings of the strongest contexts, weighted by activation",
            "contexts",
        ),
        Metric(
            "detection_auc",
            "how well the strongest contexts in one half of the documents predict those in the other, by logistic "
            "regression on the words and letters before the unit",
            "contexts",
            ("text",),
        ),
    )
}
