"""What activity tells about classes (texts, domains): information, entropy, selectivity; and normalised firing.

Activity is what is above zero, taken as a rate: its sums over the units of each class are all that is needed.
"""

import numpy as np
import pandas as pd

# The five document types of Dravid et al. 2026, section 5.2 and table 4, of which the Pile's subsets are part.
PILE_TYPES = {
    "code": ("Github",),
    "math": ("DM Mathematics",),
    "formal": (
        "ArXiv",
        "PubMed Central",
        "PubMed Abstracts",
        "FreeLaw",
        "USPTO Backgrounds",
        "NIH ExPorter",
        "StackExchange",
        "PhilPapers",
    ),
    "prose": (
        "Pile-CC",
        "OpenWebText2",
        "Wikipedia (en)",
        "Books3",
        "Gutenberg (PG-19)",
        "EuroParl",
        "BookCorpus2",
    ),
    "conversation": ("OpenSubtitles", "Ubuntu IRC", "HackerNews", "Enron Emails", "YoutubeSubtitles"),
}


def document_types(domains: list[str]) -> list[str]:
    """Type of every domain: one of the paper's five where all domains are the Pile's, else the domain itself."""
    types = {subset: kind for kind, subsets in PILE_TYPES.items() for subset in subsets}
    return [types[domain] for domain in domains] if set(domains) <= set(types) else list(domains)


def information(activity: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Bits that one count of activity tells about its class, per neuron (Skaggs et al. 1993, per spike).

    activity (classes, neurons): sums over the units of a class, not negative; share (classes,): of units in a class.
    sum p log2(p / share), with p the share of a class in the activity: what the mutual information of class and rare
    counts, drawn in proportion to activity, is per count. 0 when all classes excite alike, -log2(share) when only one
    does. NaN without activity, or with one class.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p = activity / activity.sum(0)
        terms = np.where(p > 0, p * np.log2(p / share[:, None]), 0.0)
    return np.where((activity.sum(0) > 0) & (len(share) > 1), terms.sum(0), np.nan)


def entropy(activity: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Entropy in bits of the class, per neuron, were every class as frequent as the others (classes by mean activity).

    activity (classes, neurons), share (classes,) as for `information`. NaN without activity.
    """
    rate = activity / np.where(share > 0, share, np.inf)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        p = rate / rate.sum(0)
        terms = np.where(p > 0, -p * np.log2(p), 0.0)
    return np.where(rate.sum(0) > 0, terms.sum(0), np.nan)


def class_selectivity(activity: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(largest - others) / (largest + others) of mean activities by class (Morcos et al. 2018), per neuron.

    `others` is the mean over the other classes: 0 when all are alike, 1 when only one class excites. For labelled
    images the classes are their labels. NaN without activity, or with one class.
    """
    rate = activity / np.where(share > 0, share, np.inf)[:, None]
    largest = rate.max(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = (rate.sum(0) - largest) / (len(rate) - 1)
        return (largest - others) / (largest + others)


def shuffled_information(
    activity: np.ndarray, units: np.ndarray, domain: np.ndarray, draws: int, *, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Information about domains when domains are dealt anew to blocks of documents.

    activity (blocks, neurons): sums over the units of a block; units (blocks,): number of them; domain (blocks,).
    Returns the mean over the draws, and the p-value of the real one: the share of draws that tell at least as much,
    itself counted (neurons,).
    """
    real = information(*by_class(activity, units, domain))
    total, least = np.zeros(activity.shape[1]), np.ones(activity.shape[1])
    for _ in range(draws):
        drawn = information(*by_class(activity, units, rng.permutation(domain)))
        total += drawn
        least += drawn >= real - 1e-9  # bits; what is equal may differ by rounding
    return total / draws, np.where(np.isfinite(real), least / (draws + 1), np.nan)


def by_class(activity: np.ndarray, units: np.ndarray, of_block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Activity (classes, neurons) and share of units (classes,) from those of blocks; `of_block` is their class."""
    member = np.eye(of_block.max() + 1)[of_block].T  # (classes, blocks)
    return member @ activity, member @ units / units.sum()


def normalised_firing(contexts: pd.DataFrame, kind: np.ndarray, kinds: int, neurons: int) -> np.ndarray:
    """Share of a neuron's strongest contexts in each class over the share of all units there: (classes, neurons).

    The paper's definition (section E.2). contexts has columns neuron, unit; kind (units,) is the class of every unit.
    NaN for neurons without contexts, and for classes without units.
    """
    found = np.zeros((kinds, neurons))
    np.add.at(found, (kind[contexts.unit], contexts.neuron), 1)
    share = np.bincount(kind, minlength=kinds) / len(kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        return found / found.sum(0) / share[:, None]
