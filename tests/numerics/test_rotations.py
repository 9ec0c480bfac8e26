"""Random orthogonal maps: that they are orthogonal, and as random as a uniformly drawn matrix where it matters."""

import numpy as np
import pytest
import torch
from scipy import stats

from rosetta_scaling.numerics.rotations import FastRotation, hartley
from rosetta_scaling.numerics.seeds import generator


def matrix(size: int, *names: object) -> np.ndarray:
    return FastRotation(size, generator(*names))(torch.eye(size)).double().numpy()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 60, 97, 192])
def test_the_map_is_orthogonal_at_every_size(size):
    found = matrix(size, "orthogonal")
    np.testing.assert_allclose(found @ found.T, np.eye(size), atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 5, 16, 31])
def test_the_transform_is_the_sum_of_cosines_and_sines(size):
    angle = 2 * np.pi * np.outer(np.arange(size), np.arange(size)) / size
    np.testing.assert_allclose(hartley(torch.eye(size)), (np.cos(angle) + np.sin(angle)) / size**0.5, atol=1e-6)


def test_every_entry_is_spread_like_that_of_a_uniform_matrix():
    """A coordinate of a uniform direction has the distribution of a scaled beta variable; so do sparse mixtures."""
    size, exact = 60, stats.beta((60 - 1) / 2, (60 - 1) / 2, loc=-1, scale=2)
    maps = [matrix(size, "spread", seed) for seed in range(40)]
    for vector in (
        np.eye(size)[0],
        np.eye(size)[17],
        (np.eye(size)[3] - np.eye(size)[4]) / 2**0.5,
        np.full(size, size**-0.5),
    ):
        entries = np.concatenate([vector @ found for found in maps])
        assert stats.kstest(entries, exact.cdf).pvalue > 0.001


def test_fewer_rounds_would_not_do():
    """One round of signs leaves sums of neighbours far from random: the test above can tell."""
    size, exact = 60, stats.beta((60 - 1) / 2, (60 - 1) / 2, loc=-1, scale=2)
    entries = []
    for seed in range(40):
        once = FastRotation(size, generator("once", seed))
        once.signs = once.signs[:1]
        entries.append(once(torch.eye(size)[:1]).double().numpy()[0])
    assert stats.kstest(np.concatenate(entries), exact.cdf).pvalue < 1e-6


def test_maps_repeat_and_differ():
    np.testing.assert_array_equal(matrix(12, 1, "a"), matrix(12, 1, "a"))
    assert np.abs(matrix(12, 1, "a") - matrix(12, 1, "b")).max() > 0.1
