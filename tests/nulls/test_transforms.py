"""Every null must keep what it says it keeps and destroy what it says it destroys."""

import numpy as np
import pytest
import torch
from memory_sources import MemorySource
from oracle import oracle
from scipy import stats

from rosetta_scaling.activations.sources import circular
from rosetta_scaling.matching.subsets import OfUnits, Selected
from rosetta_scaling.nulls.transforms import Gaussian, Rotated, Shuffled, random_rotation
from rosetta_scaling.numerics.seeds import generator
from rosetta_scaling.units.groups import displacements, document_groups

WIDTHS, UNITS, CHUNK = [12, 20], 4000, 512


def activations(seed: int = 0) -> torch.Tensor:
    """Two layers of rectified, correlated, autocorrelated neurons with means and scales of every size."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((10, UNITS + 8))
    smooth = sum(noise[:, i : i + UNITS] for i in range(8))  # neighbouring units resemble each other
    x = np.maximum(rng.standard_normal((sum(WIDTHS), 10)) @ smooth + rng.standard_normal((sum(WIDTHS), UNITS)), 0)
    return torch.tensor(x * 10.0 ** rng.uniform(-2, 2, (sum(WIDTHS), 1)) + 5, dtype=torch.float32)


def source(values: torch.Tensor, displacement: int = 0) -> MemorySource:
    found = MemorySource(values, CHUNK, displacement)
    found.widths = WIDTHS
    return found


def read(transformed, start: int = 0, stop: int | None = None) -> np.ndarray:
    return np.concatenate([chunk.double().numpy() for chunk in transformed.chunks(start, stop)], axis=1)


def layers(x: np.ndarray) -> list[np.ndarray]:
    return np.split(x, np.cumsum(WIDTHS)[:-1])


def autocorrelation(x: np.ndarray) -> float:
    return float(np.mean([np.corrcoef(row[1:], row[:-1])[0, 1] for row in x]))


NULLS = {
    "permute": lambda s: Shuffled(s, 1),
    "gaussian": lambda s: Gaussian(s, 1),
    "rotate": lambda s: Rotated(s, 1, standardise=True),
    "rotate_raw": lambda s: Rotated(s, 1, standardise=False),
}


@pytest.mark.parametrize("name", NULLS)
def test_tiles_see_rows_of_the_same_transform(name):
    x = activations()
    whole = read(NULLS[name](source(x)))
    for start, stop in ((0, 5), (5, 17), (12, 32), (31, 32)):
        np.testing.assert_allclose(read(NULLS[name](source(x)), start, stop), whole[start:stop], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", NULLS)
def test_draws_differ_and_repeat(name):
    x, again = activations(), {"permute": Shuffled, "gaussian": Gaussian}.get(name)
    make = again or (lambda s, seed: Rotated(s, seed, name == "rotate"))
    first, same, other = (read(make(source(x), seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1


@pytest.mark.parametrize("name", NULLS)
def test_a_constant_neuron_gives_no_nan(name):
    x = activations()
    x[3] = 7.0
    found = read(NULLS[name](source(x)))
    assert np.isfinite(found).all()
    if name in ("permute", "gaussian"):
        assert np.ptp(found[3]) == 0


def test_permuted_units_keep_distributions_and_lose_neighbours_and_partners():
    x = activations()
    displaced = source(x, 1500)
    found = read(Shuffled(displaced, 1))
    for row, original in zip(found, x.double().numpy(), strict=True):
        np.testing.assert_array_equal(np.sort(row), np.sort(original))
    np.testing.assert_allclose(np.corrcoef(found), np.corrcoef(x.double().numpy()), atol=1e-5)
    assert autocorrelation(x.numpy()) > 0.4
    assert abs(autocorrelation(found)) < 0.05
    r = oracle(torch.from_numpy(found), x)
    assert np.abs(r).max() < 6 / np.sqrt(UNITS / 8)  # the original is autocorrelated over 8 units
    places = read(Shuffled(source(torch.arange(UNITS).float().expand(sum(WIDTHS), -1), 1500), 1))[0]
    assert (places != np.arange(UNITS)).all(), "no unit stands beside itself"
    first, second = (np.argsort(places[start : start + CHUNK]) for start in (0, CHUNK))
    assert not np.array_equal(first, second), "every chunk is shuffled its own way"


def test_displaced_units_keep_everything_but_alignment():
    doc = np.repeat(np.arange(50), 80)
    x = activations()
    (place,) = displacements(doc, 1, 0)
    found = read(source(x, place))
    assert circular(-place % UNITS, UNITS)[0][0] == UNITS - place
    np.testing.assert_array_equal(found, np.roll(x.double().numpy(), place, axis=1))
    assert autocorrelation(found) == pytest.approx(autocorrelation(x.numpy()), abs=0.01)
    assert np.abs(oracle(torch.from_numpy(found), x)).max() < 6 / np.sqrt(UNITS / 8)


@pytest.mark.parametrize("standardise", [True, False])
def test_rotated_layers_keep_their_subspace_and_spectrum_but_not_their_neurons(standardise):
    x = activations()
    found = read(Rotated(source(x), 1, standardise))
    for old, new in zip(layers(x.double().numpy()), layers(found), strict=True):
        spectrum = np.linalg.eigvalsh(np.corrcoef(old) if standardise else np.cov(old))
        np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(new)), spectrum, rtol=2e-3, atol=1e-4 * spectrum.max())
        # Every old neuron is a mixture of the new ones: the subspace is the same.
        fit, *_ = np.linalg.lstsq(np.vstack([new, np.ones(UNITS)]).T, old.T, rcond=None)
        residual = old.T - np.vstack([new, np.ones(UNITS)]).T @ fit
        assert residual.var(0).max() < 1e-4 * old.var(1).min() or (residual.var(0) < 1e-3 * old.var(1)).all()
        assert abs(autocorrelation(new) - autocorrelation(old)) < 0.2
        if standardise:
            assert np.abs(new.mean(1)).max() < 1e-4
            assert np.abs(np.corrcoef(new, old)[: len(new), len(new) :]).max() < 0.999
            assert abs(stats.skew(new, axis=1)).mean() < 0.8 * abs(stats.skew(old, axis=1)).mean()


def test_layers_are_rotated_apart():
    """A rotated neuron of one layer has nothing of the other one."""
    x = activations()
    changed = x.clone()
    changed[: WIDTHS[0]] += torch.randn(WIDTHS[0], UNITS)
    before, after = (layers(read(Rotated(source(values), 1, True))) for values in (x, changed))
    np.testing.assert_array_equal(before[1], after[1])
    assert np.abs(before[0] - after[0]).max() > 0.1


def test_layers_of_equal_width_are_rotated_differently():
    x = activations()[:24]
    x[12:] = x[:12]
    twins = MemorySource(x, CHUNK)
    twins.widths = [12, 12]
    found = read(Rotated(twins, 1, True))
    assert np.abs(found[:12] - found[12:]).max() > 0.1


def test_rotations_are_orthogonal_and_uniform():
    matrices = torch.stack([random_rotation(3, generator(seed)) for seed in range(3000)]).double()
    np.testing.assert_allclose(matrices @ matrices.mT, torch.eye(3).double().expand(3000, 3, 3), atol=1e-5)
    assert abs(matrices.mean(0)).max() < 0.05
    # An entry of a uniform rotation in three dimensions is uniform between -1 and 1.
    for i, j in ((0, 0), (1, 2), (2, 2)):
        assert stats.kstest(matrices[:, i, j], "uniform", (-1, 2)).pvalue > 1e-3
    assert (torch.linalg.det(matrices) < 0).double().mean() == pytest.approx(0.5, abs=0.05)


def test_gaussian_units_keep_the_covariance_of_layers_and_nothing_else():
    x = activations()
    found = read(Gaussian(source(x), 1))
    for old, new in zip(layers(x.double().numpy()), layers(found), strict=True):
        error = np.cov(new) - np.cov(old)
        scale = np.sqrt(np.outer(old.var(1), old.var(1)))
        assert np.abs(error / scale).max() < 6 / np.sqrt(UNITS)
        assert np.abs(stats.kurtosis(new, axis=1)).max() < 6 * np.sqrt(24 / UNITS)
    assert stats.kurtosis(x.numpy(), axis=1).max() > 0.6
    assert abs(autocorrelation(found)) < 0.05
    between = np.corrcoef(found)[: WIDTHS[0], WIDTHS[0] :]
    assert np.abs(between).max() < 6 / np.sqrt(UNITS)
    assert np.abs(oracle(torch.from_numpy(found), x)).max() < 6 / np.sqrt(UNITS)


def test_selected_neurons_and_units():
    x = activations()
    index = np.array([0, 3, 4, 17, 31])
    chosen = Selected(source(x), index)
    assert chosen.widths == [5]
    np.testing.assert_array_equal(read(chosen, 1, 4), x[index[1:4]].double().numpy())
    mask = np.random.default_rng(0).random(UNITS) < 0.3
    mask[CHUNK : 2 * CHUNK] = False  # a chunk of which nothing is left
    some = OfUnits(source(x), mask)
    assert some.units == mask.sum()
    np.testing.assert_array_equal(read(some), x.double().numpy()[:, mask])


def test_documents_are_dealt_out_whole():
    doc = np.repeat(np.arange(300), np.random.default_rng(0).integers(1, 9, 300))
    group = document_groups(doc, 0)
    assert len(np.unique(group)) == 64
    for one in range(300):
        assert len(np.unique(group[doc == one])) == 1
    assert np.ptp([len(np.unique(doc[group == one])) for one in range(64)]) <= 1
    assert not np.array_equal(group, document_groups(doc, 1))
    assert len(np.unique(document_groups(np.repeat([5, 9, 7], 4), 0))) == 3
