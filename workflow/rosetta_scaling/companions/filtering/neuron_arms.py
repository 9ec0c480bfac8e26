"""Arms that look at neurons which have read the documents: one neuron, a probe, and sets of strong neurons."""

from collections.abc import Callable

import numpy as np

from rosetta_scaling.companions.filtering.case import Case, NeuronFeatures
from rosetta_scaling.companions.filtering.text_arms import regression

ALIKE = 10  # neurons of the same layer with the most similar mean and variance, one of which is drawn


def rosetta_neuron(case: Case) -> np.ndarray:
    """Mean activation of the Rosetta neuron that the rule has chosen."""
    return case.neurons.means[case.pool, case.neurons.chosen[0]]


def other_neuron(case: Case) -> np.ndarray:
    """Mean activation of the neuron that the same rule has chosen among all others."""
    return case.neurons.means[case.pool, case.neurons.chosen[1]]


def matched_neuron(case: Case) -> np.ndarray:
    """Mean activation of a random neuron of the same layer, with nearly the mean and variance of the Rosetta neuron."""
    return case.neurons.means[case.pool, alike(case.neurons, case.seed)]


def alike(neurons: NeuronFeatures, seed: int) -> int:
    """A random one of the neurons that are like the chosen Rosetta neuron in layer, mean and standard deviation."""
    own = neurons.chosen[0]
    layer = np.flatnonzero(neurons.layer == neurons.layer[own])
    mean, deviation = neurons.moments[layer].T
    place = np.column_stack([mean, np.log(np.maximum(deviation, 1e-12))])
    place = (place - place.mean(0)) / np.maximum(place.std(0), 1e-12)
    distance = np.linalg.norm(place - place[layer == own], axis=1)
    nearest = layer[np.argsort(distance, kind="stable")]
    return int(np.random.default_rng([seed, 3]).choice(nearest[nearest != own][:ALIKE]))


def labelled_neuron(case: Case) -> np.ndarray:
    """Mean activation of the neuron, of either sign, that best tells known documents of the target from the pool.

    The best is the one whose means differ most, in standard deviations over the pool.
    """
    means = case.neurons.means
    apart = (means[case.known].mean(0) - means[case.pool].mean(0)) / _deviation(means[case.pool])
    best = int(np.abs(apart).argmax())
    return np.sign(apart[best]) * means[case.pool, best]


def probe(case: Case) -> np.ndarray:
    """Logistic regression on the mean activations of all neurons."""
    means = case.neurons.means
    return regression(case, (means - means[case.pool].mean(0)) / _deviation(means[case.pool]), strength=0.01)


def _deviation(values: np.ndarray) -> np.ndarray:
    """Standard deviation of columns; infinite where nothing varies."""
    deviation = values.std(0)
    return np.where(deviation > 0, deviation, np.inf)


# -- sets of strong neurons --------------------------------------------------------------------------------------------


def nag(case: Case) -> np.ndarray:
    """Overlap with the strong neurons of the known documents: NAG (arXiv 2604.15706, section 2.4), with all neurons."""
    return _overlap(case, np.arange(len(case.neurons.layer)))


def nag_rosetta(case: Case) -> np.ndarray:
    """The same with Rosetta neurons only, as many as there are others (see `equally_many`)."""
    return _overlap(case, equally_many(case)[0])


def nag_others(case: Case) -> np.ndarray:
    """The same with as many other neurons."""
    return _overlap(case, equally_many(case)[1])


def equally_many(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Rosetta neurons and others of every layer, the same number of both: of the larger set a random part."""
    neurons, rng = case.neurons, np.random.default_rng([case.seed, 4])
    kept: tuple[list, list] = [], []
    for layer in np.unique(neurons.layer):
        own = [np.flatnonzero((neurons.layer == layer) & (neurons.shared == shared)) for shared in (True, False)]
        for numbers, rows in zip(own, kept, strict=True):
            rows.append(rng.choice(numbers, min(map(len, own)), replace=False))
    return np.sort(np.concatenate(kept[0])), np.sort(np.concatenate(kept[1]))


def _overlap(case: Case, allowed: np.ndarray) -> np.ndarray:
    """Mean over layers of the share of a document's strong neurons in those of the known documents (pool,).

    Strong are the neurons with the largest mean magnitude, `case.share` of those allowed in the layer; the target's
    profile of a layer is how often each is strong in known documents, with a sum of 1. Layers without allowed neurons
    are left out; where there is none at all, all scores are 0.
    """
    neurons, score = case.neurons, np.zeros(len(case.pool))
    layers = np.unique(neurons.layer[allowed])
    for layer in layers:
        values = neurons.magnitudes[:, allowed[neurons.layer[allowed] == layer]]
        strong = _strongest(max(1, round(case.share * values.shape[1])))
        known = np.bincount(strong(values[case.known]).ravel(), minlength=values.shape[1])
        score += (known / known.sum())[strong(values[case.pool])].sum(1)
    return score / max(1, len(layers))


def _strongest(number: int) -> Callable[[np.ndarray], np.ndarray]:
    """Columns (rows, number) of the largest values of every row."""
    return lambda values: np.argsort(-values, axis=1, kind="stable")[:, :number]
