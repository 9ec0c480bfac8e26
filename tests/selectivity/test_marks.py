"""Marks of neurons whose massive activations and whose contexts are known."""

import numpy as np
import pytest
import torch
from running_statistics import UNITS, state_of
from unit_tables import unit_table

from rosetta_scaling.selectivity.marks import fires_on_starts, is_massive, marks_of_layer

PASSAGE = unit_table(documents=90).passage.to_numpy()
STARTS = np.append(True, PASSAGE[1:] != PASSAGE[:-1])


def marked(*shapes, scale: float = 1.0, relu: bool = False) -> list[str]:
    """Marks of neurons that are noise plus a shape each, in a layer with six neurons of noise."""
    noise = torch.randn(UNITS, len(shapes) + 6, generator=torch.Generator().manual_seed(0))
    noise[:, : len(shapes)] += torch.from_numpy(np.stack(shapes, 1)).float()
    x = scale * (noise.relu() if relu else noise)
    return marks_of_layer(state_of(x).__getitem__, STARTS)[: len(shapes)].tolist()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("relu", [False, True])
def test_neurons_are_marked_at_any_scale(scale, relu):
    nothing, elsewhere, everywhere = np.zeros(UNITS), np.zeros(UNITS), np.zeros(UNITS)
    elsewhere[np.flatnonzero(~STARTS)[40:45]] = 3000
    everywhere[np.flatnonzero(STARTS)[::2]] = 3000
    found = marked(nothing, 4.0 * STARTS, elsewhere, everywhere, 0.3 * STARTS, scale=scale, relu=relu)
    assert found == ["none", "start", "massive", "massive start", "none"]


def test_a_large_negative_activation_is_massive_too():
    below = np.zeros(UNITS)
    below[::8] = -3000  # among the units whose magnitudes are counted
    assert marked(below) == ["massive"]


def test_massive_is_a_thousand_times_what_is_usual_in_the_layer():
    rms = np.array([0.0, 1.0, 2.0, 3.0, 50.0])
    assert is_massive(np.array([0.0, 2400.0, 2600.0, 9.0, 3000.0]), rms).tolist() == [False, False, True, False, True]
    assert not is_massive(np.zeros(3), np.zeros(3)).any(), "a dead layer"


def test_half_of_the_contexts_are_starts_and_far_more_than_chance_gives():
    starts = np.arange(100) % 20 == 0  # one in 20
    contexts = np.array([[0, 0, 1, 20], [20, 40, 2, -1], [40, 3, 3, -1], [60, 4, 4, -1]])
    assert fires_on_starts(contexts, starts).tolist() == [True, True, False, True]
    assert not fires_on_starts(np.full((4, 2), -1), starts).any(), "no context at all"
    short = np.arange(100) % 5 == 0  # passages of five units: half of the contexts are 2.5 times as many as by chance
    assert fires_on_starts(np.array([[0, 0], [5, 5], [1, 10], [2, 15]]), short).tolist() == [False, True]
