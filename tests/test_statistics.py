"""Streaming statistics against scipy and plain definitions, for any cut into chunks."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rosetta_scaling.statistics import NeuronStatistics

NEURONS, UNITS = 7, 3000


def population(seed: int = 0) -> torch.Tensor:
    """(units, neurons): heavy tails, a large mean, sparse, constant, all zero, tiny."""
    rng = np.random.default_rng(seed)
    x = rng.standard_t(5, (UNITS, NEURONS))
    x[:, 1] = 1000 + rng.standard_normal(UNITS)
    x[:, 2] *= rng.random(UNITS) < 0.02
    x[:, 3] = 0.3
    x[:, 4] = 0
    x[:, 5] = np.maximum(x[:, 5], 0) * 1e-3
    return torch.tensor(x, dtype=torch.float32)


def table_of(x: torch.Tensor, cuts: list[int], top: int = 5):
    domains = torch.arange(len(x)) % 3
    running = NeuronStatistics(x.shape[1], 3, top)
    bounds = [0, *sorted(cuts), len(x)]
    for start, stop in itertools.pairwise(bounds):
        if stop > start:
            running.update(x[start:stop], torch.arange(start, stop), domains[start:stop])
    return running.table(0, ["a", "b", "c"]), running.contexts(0)


def gini_by_definition(x: np.ndarray) -> float:
    ordered, n = np.sort(np.abs(x)), len(x)
    return float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / (n * ordered.sum()))


def test_against_scipy():
    x = population()
    table, _ = table_of(x, [17, 1000, 1001])
    d = x.double().numpy()
    varied = [0, 1, 2, 5, 6]
    np.testing.assert_allclose(table["mean"], d.mean(0), rtol=1e-10)
    np.testing.assert_allclose(table["variance"], d.var(0), rtol=1e-8, atol=1e-20)
    np.testing.assert_allclose(table.skewness[varied], stats.skew(d[:, varied]), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(table.activation_kurtosis[varied], stats.kurtosis(d[:, varied]), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(table.fraction_active, (d > 0).mean(0))
    np.testing.assert_allclose(table.maximum, d.max(0))
    l1, l2 = np.abs(d).sum(0), np.sqrt((d**2).sum(0))
    with np.errstate(invalid="ignore"):
        hoyer = (np.sqrt(UNITS) - l1 / l2) / (np.sqrt(UNITS) - 1)
    np.testing.assert_allclose(table.hoyer, hoyer, rtol=1e-9, atol=1e-9)
    for code, domain in enumerate("abc"):
        np.testing.assert_allclose(table[f"mean_{domain}"], d[code::3].mean(0), rtol=1e-9)


def test_gini_from_the_histogram_is_close_to_the_definition():
    x = population()
    table, _ = table_of(x, [])
    for neuron in (0, 1, 2, 5, 6):
        assert table.gini[neuron] == pytest.approx(gini_by_definition(x[:, neuron].double().numpy()), abs=0.005)
    assert np.isnan(table.gini[4])


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 1e3])
def test_gini_ignores_the_scale(scale):
    x = population()
    expected = gini_by_definition(x[:, 0].double().numpy())
    assert table_of(x * scale, [])[0].gini[0] == pytest.approx(expected, abs=0.005)


def test_constant_neurons_have_no_kurtosis():
    table, _ = table_of(population(), [100, 200])
    assert table.activation_kurtosis.isna().tolist() == [False, False, False, True, True, False, False]


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, UNITS), max_size=6))
def test_chunks_do_not_matter(cuts):
    x = population(1)
    whole, whole_contexts = table_of(x, [])
    cut, cut_contexts = table_of(x, cuts)
    np.testing.assert_allclose(cut.to_numpy(float), whole.to_numpy(float), rtol=1e-7, atol=1e-9)
    assert cut_contexts.equals(whole_contexts)


def test_shards_merge_in_any_order():
    x = population(2)
    parts = []
    for start in range(0, UNITS, 1000):
        part = NeuronStatistics(NEURONS, 1, 4)
        part.update(x[start : start + 1000], torch.arange(start, start + 1000), torch.zeros(1000, dtype=torch.int64))
        parts.append(part.state)
    tables = []
    for order in ((0, 1, 2), (2, 0, 1)):
        merged = NeuronStatistics.from_state(parts[order[0]])
        for i in order[1:]:
            merged.merge(NeuronStatistics.from_state(parts[i]))
        tables.append((merged.table(0, ["a"]), merged.contexts(0)))
    np.testing.assert_allclose(tables[0][0].to_numpy(float), tables[1][0].to_numpy(float), rtol=1e-9, atol=1e-12)
    assert tables[0][1].equals(tables[1][1])


def test_contexts_are_the_strongest_units():
    x = population(3)
    _, contexts = table_of(x, [1500])
    for channel, rows in contexts.groupby("channel"):
        expected = np.sort(x[:, channel].numpy())[::-1][:5]
        np.testing.assert_allclose(rows.sort_values("rank").activation, expected)
        np.testing.assert_allclose(x[rows.unit.tolist(), channel], rows.activation)
