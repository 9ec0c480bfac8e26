"""The matching engine against a numpy float64 oracle and against what theory says of it."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta_scaling import matching
from rosetta_scaling.matching import best_matches, mutual_matches, standardise, tile_size
from rosetta_scaling.store import StudyError

UNITS = 400


def oracle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All Pearson correlations in float64; a (neurons, units)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(a.astype(np.float64), b.astype(np.float64))[: len(a), len(a) :]


def engine(a: torch.Tensor, b: torch.Tensor, k: int = 1, memory: int = 10**9, displacement: int = 0):
    best_a, best_b = best_matches(
        lambda i, j: a[i:j], len(a), lambda i, j: b[i:j], len(b), a.shape[1], k + 1, memory, "cpu", displacement
    )
    return mutual_matches(best_a, best_b, k), best_a, best_b


def related(seed: int, n: int, m: int, units: int = UNITS) -> tuple[torch.Tensor, torch.Tensor]:
    """Two heavy-tailed populations that share some sources, with means and scales of every size."""
    rng = np.random.default_rng(seed)
    sources = rng.standard_t(4, (max(n, m), units))
    a = sources[:n] + rng.uniform(0, 3, (n, 1)) * rng.standard_normal((n, units))
    b = sources[:m] + rng.uniform(0, 3, (m, 1)) * rng.standard_normal((m, units))
    a = (a + rng.normal(0, 3, (n, 1))) * 10.0 ** rng.uniform(-6, 3, (n, 1))
    return torch.tensor(a, dtype=torch.float32), torch.tensor(b[rng.permutation(m)], dtype=torch.float32)


def pairs(table) -> set:
    return set(zip(table.neuron_a, table.neuron_b, strict=True))


def memory_for(tile: int, units: int = UNITS) -> int:
    return 4 * (4 * units * tile + 2 * tile * tile)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), n=st.integers(2, 40), m=st.integers(2, 40), k=st.integers(1, 4), tile=st.integers(1, 50)
)
def test_tiles_equal_the_oracle(seed, n, m, k, tile):
    a, b = related(seed, n, m)
    table, _, _ = engine(a, b, k, memory_for(tile))
    r = oracle(a.numpy(), b.numpy())
    top_a, top_b = np.argsort(-r, 1)[:, :k], np.argsort(-r.T, 1)[:, :k]
    assert pairs(table) == {(i, j) for i in range(n) for j in top_a[i] if i in top_b[j]}
    np.testing.assert_allclose(table.r, r[table.neuron_a, table.neuron_b], atol=2e-6)
    for row in table.itertuples():
        assert top_a[row.neuron_a][row.rank_a - 1] == row.neuron_b
        assert top_b[row.neuron_b][row.rank_b - 1] == row.neuron_a


def test_margin_is_the_distance_to_the_runner_up():
    a, b = related(3, 20, 25)
    table, _, _ = engine(a, b)
    r = np.sort(oracle(a.numpy(), b.numpy()), 1)
    np.testing.assert_allclose(table.margin_a, r[table.neuron_a, -1] - r[table.neuron_a, -2], atol=5e-6)


@pytest.mark.parametrize(("n", "m"), [(300, 300), (200, 500)])
def test_independent_gaussians_match_as_often_as_theory_says(n, m):
    counts = []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        counts.append(
            len(engine(torch.randn(n, UNITS, generator=generator), torch.randn(m, UNITS, generator=generator))[0])
        )
    expected = n * m / (n + m - 1)
    error = np.std(counts, ddof=1) / np.sqrt(len(counts))
    assert abs(np.mean(counts) - expected) < 4 * error
    assert error < 0.05 * expected


def test_a_model_matches_itself_completely():
    a, _ = related(1, 60, 2)
    a[7], a[8] = 0.25, 0.0  # constant neurons
    table, best, _ = engine(a, a.clone())
    assert set(table.neuron_a) == set(range(60)) - {7, 8}
    assert (table.neuron_a == table.neuron_b).all()
    np.testing.assert_allclose(table.r, 1, atol=1e-6)
    assert best.constant.nonzero().flatten().tolist() == [7, 8]


def test_constant_neurons_never_match_even_where_all_else_is_negative():
    x = torch.randn(1, UNITS, generator=torch.Generator().manual_seed(0))
    constant = torch.full((1, UNITS), 0.25)
    for a, b, expected in ((torch.cat([constant, x]), -x, {(1, 0)}), (-x, torch.cat([constant, x]), {(0, 1)})):
        table, _, _ = engine(a, b)
        assert pairs(table) == expected
        np.testing.assert_allclose(table.r, -1, atol=1e-6)


def test_permuting_neurons_permutes_matches_and_nothing_else():
    a, b = related(2, 50, 40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    before, after = engine(a, b)[0], engine(a, b[order])[0]
    assert pairs(before) == {(i, int(order[j])) for i, j in pairs(after)}
    np.testing.assert_allclose(np.sort(before.r), np.sort(after.r), atol=1e-6)


def test_exchanging_the_models_exchanges_the_sides():
    a, b = related(4, 50, 40)
    forward, backward = engine(a, b, 3)[0], engine(b, a, 3)[0]
    assert pairs(forward) == {(i, j) for j, i in pairs(backward)}


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-10, 10))
def test_pearson_ignores_scale_and_shift(scale, shift):
    a, b = related(5, 20, 20)
    moved = ((a.double() + shift * a.double().std(1, keepdim=True)) * scale).float()
    before, after = engine(a, b)[0], engine(moved, b)[0]
    assert pairs(before) == pairs(after)
    np.testing.assert_allclose(before.r, after.r, atol=1e-5)


@pytest.mark.parametrize("exponent", [-30, -12, 12, 18])
def test_tiny_and_huge_activations_keep_their_correlation(exponent):
    a, b = related(6, 10, 10)
    scaled = (a.double() / a.double().abs().amax(1, keepdim=True) * 10.0**exponent).float()
    np.testing.assert_allclose(engine(scaled, b)[0].r, engine(a, b)[0].r, atol=1e-5)


def test_sums_are_float32_or_better():
    """Many units of bfloat16 inputs: a bfloat16 accumulator stagnates and shrinks r (by more than half here)."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(30, 50_000, generator=generator)
    b = (a + 0.5 * torch.randn(30, 50_000, generator=generator)).bfloat16().float()
    a = a.bfloat16().float()
    table, _, _ = engine(a, b)
    r = oracle(a.numpy(), b.numpy())
    assert len(table) == 30
    np.testing.assert_allclose(table.r, r[table.neuron_a, table.neuron_b], atol=1e-5)


def test_equal_candidates_go_to_the_lower_index():
    a, _ = related(8, 6, 2)
    b = torch.cat([a[3:4], a, a[3:4]])  # neuron 3 three times: at 0, 4 and 7
    for tile in (1, 2, 3, 100):
        best, _ = best_matches(lambda i, j: a[i:j], 6, lambda i, j: b[i:j], 8, UNITS, 3, memory_for(tile))
        assert best.partner[3].tolist() == [0, 4, 7]


def test_displacement_rolls_the_units_of_the_second_model():
    a, b = related(9, 30, 30)
    shifted, rolled = engine(a, b, displacement=17)[0], engine(a, b.roll(17, 1))[0]
    assert pairs(shifted) == pairs(rolled)
    assert pairs(shifted) != pairs(engine(a, b)[0])


def test_standardise_marks_constants_exactly():
    rows = torch.tensor([[0.1] * 1000, [0.1] * 999 + [0.1000001]])
    _, constant = standardise(rows)
    assert constant.tolist() == [True, False]


@pytest.mark.parametrize("budget", [10**6, 10**7, 10**8])
def test_tiles_fit_the_budget(budget):
    tile = tile_size(5_000, budget)
    assert memory_for(tile, 5_000) <= budget < memory_for(tile + 1, 5_000)


def test_peak_memory_stays_within_the_budget():
    """A process of its own matches 6,000 neurons with themselves over 3,000 units under 100 MB."""
    script = """
import resource, torch
from rosetta_scaling.matching import best_matches
torch.set_num_threads(1)
rows = lambda i, j: torch.randn(j - i, 3000, generator=torch.Generator().manual_seed(i))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
best_matches(rows, 40, rows, 40, 3000, 2, 10**6)  # what libraries allocate once
before = peak()
best_matches(rows, 6000, rows, 6000, 3000, 2, 100 * 10**6)
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100


def test_a_budget_below_one_neuron_is_refused():
    with pytest.raises(StudyError, match="raise it"):
        tile_size(10**7, 10**6)


def test_the_accumulator_test_can_fail(monkeypatch):
    """The same check with a bfloat16 accumulator must not pass."""

    def in_bfloat16(block_a, block_b):
        total = torch.zeros(len(block_a), len(block_b), dtype=torch.bfloat16)
        for part_a, part_b in zip(block_a.split(50, 1), block_b.split(50, 1), strict=True):
            total += (part_a @ part_b.T).bfloat16()
        return total.float()

    monkeypatch.setattr(matching, "correlate", in_bfloat16)
    with pytest.raises(AssertionError):
        test_sums_are_float32_or_better()
