"""Input-side selectivity: how narrow a neuron's response to units is, from the running sums of one forward pass."""

from typing import Any

import numpy as np
import pandas as pd

from rosetta_scaling.activations.statistics import BINS, BINS_PER_OCTAVE, LOWEST, LabelMatrix
from rosetta_scaling.selectivity import information as specialisation
from rosetta_scaling.selectivity.planted import factor_of, factor_shares
from rosetta_scaling.units.labels import UnitLabels

STRONG = 2.0  # root mean squares beyond which an activation is called strong
WEAK = 1e-20  # variance below which higher moments are lost


def input_metrics(state: dict, labels: UnitLabels, shuffles: int, seed) -> pd.DataFrame:
    """One row per neuron of a layer, from the state of its NeuronStatistics; NaN where a metric is undefined.

    mean, variance, skewness, activation_kurtosis (excess), maximum; fraction_active (above zero) and fraction_strong
    (magnitude beyond twice the root mean square); gini, hoyer and treves_rolls of the magnitudes; token_*: of the text
    of the unit; unigram_*: the single text that explains most of the variance; previous_r2, position_r2: share of the
    variance that the text before, and the place in the passage, explain; domain_*; mean_DOMAIN. Of images what
    was drawn takes the place of texts: content_*, and the shares of its factors.
    """
    s = {name: tensor.numpy() for name, tensor in state.items()}
    rows, n = LabelMatrix(labels).rows, float(s["count"])
    columns = moments(s)
    total = s["positive"][rows["positive"]["block"]].astype(float).sum(0)
    rms = np.hypot(columns["mean"], np.sqrt(columns["variance"]))
    columns |= {
        "fraction_active": s["active"] / n,
        "fraction_strong": share_above(s["histogram"], STRONG * rms),
        "gini": gini(s["histogram"]),
    }
    columns |= sparsity(2 * total / n - columns["mean"], rms, n)
    columns |= (token_metrics if labels.is_text else content_metrics)(s, labels, rows, columns["variance"])
    columns |= domain_metrics(s, labels, rows, columns["variance"], shuffles=shuffles, seed=seed)
    return pd.DataFrame(columns)


def moments(s: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mean, variance, skewness, excess kurtosis and maximum.

    Skewness and kurtosis are undefined for constant neurons, and for neurons so weak that their fourth powers are below
    what float32 can hold.
    """
    n = float(s["count"])
    p1, p2, p3, p4 = s["power"] / n  # moments about the shift
    variance = np.maximum(p2 - p1**2, 0)
    mean = s["shift"] + p1
    constant = variance <= 1e-12 * (mean**2 + variance)  # float32 noise on a constant is below this
    shapeless = constant | (variance < WEAK)
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = (p3 - 3 * p1 * p2 + 2 * p1**3) / variance**1.5
        kurtosis = (p4 - 4 * p1 * p3 + 6 * p1**2 * p2 - 3 * p1**4) / variance**2 - 3
    return {
        "mean": mean,
        "variance": np.where(constant, 0, variance),
        "skewness": np.where(shapeless, np.nan, skewness),
        "activation_kurtosis": np.where(shapeless, np.nan, kurtosis),
        "maximum": s["top_value"].max((0, 1)),
    }


def sparsity(magnitude: np.ndarray, rms: np.ndarray, n: float) -> dict[str, np.ndarray]:
    """Hoyer's and Treves and Rolls' sparsity from mean |activation| and root mean square: 0 even, 1 on one unit only.

    Both rise with rms / magnitude alone, so they rank neurons alike (Hoyer 2004; lifetime sparsity of Vinje and Gallant
    2000 after Treves and Rolls 1991).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(magnitude / rms, 1 / np.sqrt(n), 1)  # its bounds; rounding may leave them
    return {
        "hoyer": np.sqrt(n) * (1 - ratio) / (np.sqrt(n) - 1),
        "treves_rolls": (1 - ratio**2) / (1 - 1 / n),
    }


def bin_edges() -> np.ndarray:
    """Lower edges (BINS + 1,) of the bins of statistics.histogram; the first bin begins at 0."""
    octave, quarter = np.divmod(np.arange(BINS + 1), BINS_PER_OCTAVE)
    edges = 2.0 ** (octave + LOWEST) * (1 + quarter / BINS_PER_OCTAVE)
    edges[0] = 0
    return edges


def gini(histogram: np.ndarray) -> np.ndarray:
    """Gini coefficient of |activation| per neuron from counts (neurons, BINS): 0 even, towards 1 concentrated."""
    edges = bin_edges()
    middle = (edges[1:] + edges[:-1]) / 2
    middle[0] = 0  # the first bin holds the zeros
    count, mass = histogram.astype(float), histogram * middle
    n, total = count.sum(1), mass.sum(1)
    before = np.cumsum(mass, 1) - mass
    with np.errstate(divide="ignore", invalid="ignore"):
        area = (count * (before + mass / 2)).sum(1) / (n * total)  # under the Lorenz curve
    return np.where(total > 0, 1 - 2 * area, np.nan)


def share_above(histogram: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Share of units whose |activation| exceeds a threshold (neurons,), even within a bin."""
    edges = bin_edges()
    at_least = np.cumsum(histogram[:, ::-1], 1)[:, ::-1].astype(float)  # (neurons, BINS)
    place = np.clip(np.searchsorted(edges, threshold, "right") - 1, 0, BINS - 1)
    inside = np.clip((threshold - edges[place]) / (edges[place + 1] - edges[place]), 0, 1)
    inside = np.where(place > 0, inside, 1)  # the first bin holds the zeros
    neuron = np.arange(len(histogram))
    return (at_least[neuron, place] - inside * histogram[neuron, place]) / at_least[:, 0]


def explained(sums: np.ndarray, units: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Share of a neuron's variance that lies between classes of units, corrected for the number of classes.

    sums (classes, neurons): beyond any common shift; units (classes,): number of them. The correction is that of the
    adjusted coefficient of determination, 0 on average for classes that mean nothing. NaN for constant neurons.
    """
    n, used = units.sum(), units > 0
    between = (sums[used] ** 2 / units[used, None]).sum(0) - sums.sum(0) ** 2 / n
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(variance > 0, between / (n * variance), np.nan)
        return 1 - (1 - r2) * (n - 1) / (n - used.sum())


def unigram(sums: np.ndarray, units: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The one class that explains most of a neuron's variance by exciting it, and the share it explains.

    sums (classes, neurons), units (classes,) as for `explained`; of the last class, which stands for all others, only
    the sums are used. A share is the squared correlation with belonging to the class (Gurnee et al. 2024).
    """
    n = units.sum()
    beyond = sums[:-1] - np.outer(units[:-1], sums.sum(0) / n)  # units of a class times its mean beyond the mean
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = beyond**2 / (units * (1 - units / n))[:-1, None] / (n * variance)
    r2 = np.where(beyond > 0, r2, 0)
    best = r2.argmax(0)
    return best, np.where(variance > 0, r2[best, np.arange(len(best))], np.nan)


def token_metrics(s: dict, labels: UnitLabels, rows: dict, variance: np.ndarray) -> dict[str, np.ndarray]:
    """What texts tell: token_information with that of displaced texts, token_entropy, shares of the variance."""
    kinds = labels.by_sum
    sums = {kind: s["labelled"][rows["labelled"][kind]].astype(float) for kind in ("text", "previous", "position")}
    units = {kind: np.bincount(kinds[kind].codes, minlength=kinds[kind].size) for kind in sums}
    share = units["text"] / units["text"].sum()
    activity, displaced = (s["positive"][rows["positive"][kind]].astype(float) for kind in ("text", "displaced"))
    best, unigram_r2 = unigram(sums["text"], units["text"], variance)
    return {
        "token_information": specialisation.information(activity, share),
        "token_information_null": specialisation.information(displaced, share),
        "token_entropy": specialisation.entropy(activity[:-1], share[:-1]),
        "token_r2": explained(sums["text"], units["text"], variance),
        "previous_r2": explained(sums["previous"], units["previous"], variance),
        "position_r2": explained(sums["position"], units["position"], variance),
        "unigram_r2": unigram_r2,
        "unigram_text": np.array(labels.texts, dtype=object)[best],
    }


def content_metrics(s: dict, labels: UnitLabels, rows: dict, variance: np.ndarray) -> dict[str, Any]:
    """What was drawn in a patch tells: content_information with that of displaced contents, shares of the variance, the
    factors that they belong to (see planted.py); and what the place in the image explains.
    """
    found = token_metrics(s, labels, rows, variance)
    units = np.bincount(labels.text, minlength=len(labels.texts) + 1)
    shares = factor_shares(s["labelled"][rows["labelled"]["text"]].astype(float), units, labels.texts)
    return {
        "content_information": found["token_information"],
        "content_information_null": found["token_information_null"],
        "content_r2": found["token_r2"],
        "position_r2": found["position_r2"],
        **dict(shares.items()),
        "factor": factor_of(shares, found["token_r2"]),
    }


def domain_metrics(
    s: dict, labels: UnitLabels, rows: dict, variance: np.ndarray, *, shuffles: int, seed
) -> dict[str, np.ndarray]:
    """What domains tell: domain_information with that of domains dealt anew and its p-value, entropy, means, ..."""
    units, of_block = np.bincount(labels.block), labels.block_domain
    activity, sums = (s[name][rows[name]["block"]].astype(float) for name in ("positive", "labelled"))
    by_domain, share = specialisation.by_class(activity, units, of_block)
    sums, _ = specialisation.by_class(sums, units, of_block)
    in_domain = np.bincount(of_block, units)
    null, p = specialisation.shuffled_information(activity, units, of_block, shuffles, rng=np.random.default_rng(seed))
    columns = {
        "domain_information": specialisation.information(by_domain, share),
        "domain_information_null": null,
        "domain_p": p,
        "domain_entropy": specialisation.entropy(by_domain, share),
        "domain_selectivity": specialisation.class_selectivity(by_domain, share),
        "domain_r2": explained(sums, in_domain, variance),
    }
    means = s["shift"] + sums / in_domain[:, None]
    return columns | {f"mean_{domain}": mean for domain, mean in zip(labels.domains, means, strict=True)}
