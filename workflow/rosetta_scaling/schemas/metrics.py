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
    determined_r2  share of its normal score that layer, mean, variance and share of active units explain in the largest
                networks of the default study; 0 where it is less than DETERMINED and was not written down
    null        column of what it is by chance, which is taken off it; None where chance has no part in it
    """

    name: str
    meaning: str
    side: Literal["input", "output", "contexts"]
    modalities: tuple[str, ...] = ("text", "image")
    determined_r2: float = 0.0
    null: str | None = None

    @property
    def is_determined(self) -> bool:
        """Beside other neurons that are alike in these, nothing can be left of it: it is declared undecidable."""
        return self.determined_r2 >= DETERMINED


DETERMINED = 0.8
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
        Metric("activation_kurtosis", "excess kurtosis of the activation over units", "input", determined_r2=0.84),
        Metric("skewness", "skewness of the activation over units", "input", determined_r2=0.85),
        Metric(
            "gini",
            "concentration of the magnitude of the activation on few units (Gini coefficient, every eighth unit)",
            "input",
            determined_r2=0.92,
        ),
        Metric(
            "hoyer",
            "concentration of the magnitude of the activation on few units (Hoyer's sparsity)",
            "input",
            determined_r2=0.92,
        ),
        Metric(
            "token_information",
            "bits that the activity tells about the text of the unit, less what it tells when texts are displaced by "
            "whole documents",
            "input",
            ("text",),
            determined_r2=0.82,
            null="token_information_null",
        ),
        Metric(
            "content_information",
            "bits that the activity tells about what was drawn in the patch, less what it tells when contents are "
            "displaced by whole images",
            "input",
            ("image",),
            null="content_information_null",
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
            "regression on what surrounds the unit: the words and letters before it, or colours and edges",
            "contexts",
        ),
    )
}
