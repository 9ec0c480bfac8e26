"""The units that are shown of neurons, and what networks do around them."""

import numpy as np
import pandas as pd
import pytest
import torch
from memory_sources import MemorySource

from rosetta_scaling.viewer.examples import (
    AFTER,
    BEFORE,
    BINS,
    NONE,
    STEPS,
    STRONGEST,
    THRESHOLD,
    Sampled,
    Scale,
    Windows,
    codes,
    example_units,
    sample_units,
)

UNITS, NEURONS = 300, 7


def made(seed: int = 0) -> tuple[torch.Tensor, Scale]:
    values = torch.from_numpy(np.random.default_rng(seed).normal(1, 3, (NEURONS, UNITS))).float()
    values[3] = 2.0  # a constant neuron
    variance = values.var(1, correction=0).numpy()
    variance[3] = 0
    return values, Scale.of(pd.DataFrame({"mean": values.mean(1).numpy(), "variance": variance}))


def z_of(code: np.ndarray) -> np.ndarray:
    """As viewer.js decodes it."""
    return np.sign(code) * (code / STEPS) ** 2 * STRONGEST


def test_codes_say_z_to_a_few_per_cent():
    z = np.concatenate([np.linspace(-100, 100, 2001), [1e9, -1e9]])
    back = z_of(codes(z).astype(float))
    inside = np.clip(z, -STRONGEST, STRONGEST)
    assert np.abs(back - inside).max() < 0.8
    moderate = np.abs(inside) < 10
    assert np.abs(back - inside)[moderate].max() < 0.26
    assert codes(np.array([0.0]))[0] == 0


@pytest.mark.parametrize("chunk", [1, 10, 64, 1000])
def test_windows_hold_what_the_partner_does_on_the_same_units_of_the_passage(chunk):
    values, scale = made()
    rng = np.random.default_rng(1)
    passage = np.repeat([2, 3, 8, 9], [5, 1, 200, 94])
    examples = rng.integers(0, UNITS, (4, 3))
    examples[0] = [0, UNITS - 1, -1]
    neurons = np.array([6, 3, -1, 0])
    found = Windows(examples, passage).read(MemorySource(values, chunk).chunks(), scale, neurons)
    values = values.numpy()
    for n, neuron in enumerate(neurons):
        for e, centre in enumerate(examples[n]):
            for w, unit in enumerate(range(centre - BEFORE, centre + AFTER + 1)):
                is_shown = centre >= 0 and neuron >= 0 and 0 <= unit < UNITS and passage[unit] == passage[centre]
                z = (values[neuron, unit] - scale.mean[neuron]) / scale.deviation[neuron] if is_shown else None
                assert found[n, e, w] == (codes(np.array(z)) if is_shown else NONE), (n, e, w)


@pytest.mark.parametrize("chunk", [1, 10, 1000])
def test_of_an_image_all_patches_are_shown(chunk):
    values, scale = made()
    patches, rng = 20, np.random.default_rng(2)
    examples = np.concatenate([rng.integers(0, UNITS, (NEURONS, 3)), np.full((NEURONS, 1), -1)], 1)
    neurons = np.array([6, 3, -1, 0, 2, 2, 5])
    windows = Windows(examples, np.arange(UNITS) // patches, patches)
    found = windows.read(MemorySource(values, chunk).chunks(), scale, neurons)
    assert found.shape == (NEURONS, 4, patches)
    z = codes(scale.z(values.numpy()))
    for n, e in np.ndindex(NEURONS, 3):
        image = slice(examples[n, e] // patches * patches, (examples[n, e] // patches + 1) * patches)
        np.testing.assert_array_equal(found[n, e], NONE if neurons[n] < 0 else z[neurons[n], image])
    assert (found[:, 3] == NONE).all()


def test_a_sample_gives_units_near_the_threshold_and_a_histogram_of_all(monkeypatch):
    values, scale = made()
    found = sample_units(MemorySource(values, 64).chunks(), scale, UNITS, [0])
    z = scale.z(values.numpy())
    for neuron in range(NEURONS):
        nearest = np.sort(np.abs(z[neuron] - THRESHOLD))[: found.near.shape[1]]
        np.testing.assert_array_equal(np.abs(z[neuron, found.near[neuron]] - THRESHOLD), nearest)
        bins = (codes(z[neuron]).astype(int) + STEPS + 1) * BINS // (2 * STEPS + 2)
        np.testing.assert_array_equal(found.histogram[neuron], np.bincount(bins, minlength=BINS))
    assert found.units == UNITS
    monkeypatch.setattr("rosetta_scaling.viewer.examples.SAMPLE", 50)
    one, other = (sample_units(MemorySource(values, chunk).chunks(), scale, UNITS, [0]) for chunk in (7, 300))
    assert (one.histogram.sum(1) == 50).all()
    np.testing.assert_array_equal(one.near, other.near)
    np.testing.assert_array_equal(one.random, other.random)


def test_examples_come_in_the_order_of_their_sets():
    rows = [(0, 0, 0, 11), (0, 0, 1, 12), (0, 1, 0, 13), (1, 0, 0, 14), (1, 0, 7, 99)]
    contexts = pd.DataFrame(rows, columns=["neuron", "half", "rank", "unit"])
    sampled = Sampled(np.full((2, 4), 5), np.full((2, 4), 6), np.zeros((2, BINS)), 10)
    found = example_units(contexts, sampled)
    assert found[0].tolist() == [11, 12, -1, -1, -1, -1, 13, -1, -1, -1, -1, -1, 5, 5, 5, 5, 6, 6, 6, 6]
    assert found[1].tolist() == [14, *[-1] * 11, 5, 5, 5, 5, 6, 6, 6, 6]
