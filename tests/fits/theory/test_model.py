"""The model of theory.py against integrals, optimisers and direct draws; its simulation against the model."""

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, sparse, stats

from rosetta_scaling.fits.theory import model as theory
from rosetta_scaling.fits.theory import simulation as theory_simulation
from rosetta_scaling.fits.theory.simulation import World, activations, network, recovered_exponent, simulate
from rosetta_scaling.numerics.partners import MutualPartners, match_activations
from rosetta_scaling.store.errors import StudyError

BETAS = st.floats(1.01, 10)
NEURONS = st.floats(0, 12).map(lambda exponent: 10**exponent)

# -- the allocation ---------------------------------------------------------------------------------------------------


def test_closed_form_for_beta_of_two():
    neurons = np.array([1, 4, 100, 1e12])
    np.testing.assert_array_equal(theory.last_represented(neurons, 2, 1), [2, 3, 11, 1e6 + 1])
    np.testing.assert_array_equal(theory.last_represented(neurons, 2, 4), [3, 5, 21, 2e6 + 1])
    # The general solution has no jump there.
    np.testing.assert_allclose(theory.last_represented(neurons, 2 + 1e-9, 1), [2, 3, 11, 1e6 + 1], rtol=1e-7)
    np.testing.assert_allclose(theory.last_represented(neurons, 2 - 1e-9, 1), [2, 3, 11, 1e6 + 1], rtol=1e-7)


@given(BETAS, NEURONS, st.floats(0.01, 100))
@settings(max_examples=200)
def test_the_allocation_spends_the_budget(beta, neurons, kappa):
    r0 = theory.last_represented(neurons, beta, kappa)
    # The integral of s dr over 1 <= r <= r0, over the logarithm of r so that it is smooth.
    spent, _ = integrate.quad(lambda x: theory.isolation(np.exp(x), r0, beta) * np.exp(x), 0, np.log(r0), epsrel=1e-10)
    assert spent == pytest.approx(kappa * neurons, rel=1e-7)


def water_filling(importance: np.ndarray, budget: float, width: float) -> np.ndarray:
    """What maximises the sum of importance * log(1 + s) * width while the sum of s * width is the budget."""

    def allocation(level: float) -> np.ndarray:
        return np.maximum(importance / np.exp(level) - 1, 0)

    return allocation(optimize.bisect(lambda level: allocation(level).sum() * width - budget, -50, 5, xtol=1e-13))


@pytest.mark.parametrize("beta", [1.3, 2, 3.5])
@pytest.mark.parametrize(("neurons", "kappa"), [(40, 1), (100, 0.5)])
def test_the_allocation_is_that_of_water_filling(beta, neurons, kappa):
    """Water poured over a fine grid of ranks, which knows of no r0, ends where r0 says, at the same depths."""
    r0, width = theory.last_represented(neurons, beta, kappa), 1e-3
    rank = np.arange(1 + width / 2, 4 * neurons, width)
    s = water_filling(rank**-beta, kappa * neurons, width)
    assert rank[s > 0][-1] == pytest.approx(r0, abs=1e-2)
    np.testing.assert_allclose(s, theory.isolation(rank, r0, beta), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("beta", [1.3, 2, 3.5])
def test_a_general_optimiser_finds_nothing_better(beta):
    rank = np.arange(1, 17.0)
    s = theory.isolation(rank, 9.5, beta)
    importance = rank**-beta
    best = optimize.minimize(
        lambda x: -(importance * np.log1p(x)).sum(),
        np.full(16, s.sum() / 16),
        jac=lambda x: -importance / (1 + x),
        bounds=[(0, None)] * 16,
        constraints={"type": "eq", "fun": lambda x: x.sum() - s.sum(), "jac": lambda x: np.ones(16)},
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-13},
    )
    assert best.success
    assert (importance * np.log1p(s)).sum() >= -best.fun - 1e-9
    np.testing.assert_allclose(best.x, s, atol=0.02)


@given(BETAS, NEURONS)
@settings(max_examples=50)
def test_marginal_utility_is_equal_where_something_is_spent_and_not_larger_elsewhere(beta, neurons):
    r0 = theory.last_represented(neurons, beta, 1)
    rank = np.geomspace(1, 10 * r0, 500)
    s = theory.isolation(rank, r0, beta)
    assert (s[rank < r0] > 0).all()
    assert (s[rank >= r0] == 0).all()
    marginal = rank**-beta / (1 + s)
    np.testing.assert_allclose(marginal[rank < r0], r0**-beta, rtol=1e-9)
    assert (marginal[rank >= r0] <= r0**-beta * (1 + 1e-9)).all()


def test_isolation_broadcasts():
    assert theory.isolation(np.arange(1, 5)[:, None], np.array([2.0, 3.0]), 2).tolist()[1:3] == [[0, 1.25], [0, 0]]


@pytest.mark.parametrize("beta", [1.5, 2, 3, 10])
def test_what_grows_as_which_power(beta):
    neurons, kappa = np.array([1e11, 1e12]), 0.7
    r0 = theory.last_represented(neurons, beta, kappa)
    np.testing.assert_allclose(r0, ((beta - 1) * kappa * neurons) ** (1 / beta), rtol=2e-3 if beta > 1.5 else 5e-3)
    slopes = {
        "last_represented": np.diff(np.log(r0)),
        "detectable": np.diff(np.log(theory.detectable(neurons, beta, kappa, 3))),
        "mean_isolation": np.diff(np.log(theory.mean_isolation(neurons, beta, kappa, 3))),
    }
    for name, slope in slopes.items():
        expected = 1 - 1 / beta if name == "mean_isolation" else 1 / beta
        # A mean over integer ranks jumps with each of them: for beta = 10 there are 14 and 18.
        assert slope[0] / np.log(10) == pytest.approx(expected, abs=0.02 if beta == 10 else 1e-3), name


def test_detectable_is_where_isolation_is_tau():
    for tau in (0.2, 1, 9):
        rank = theory.detectable(np.array([1e3, 1e6]), 1.7, 1, tau)
        np.testing.assert_allclose(theory.isolation(rank, theory.last_represented([1e3, 1e6], 1.7, 1), 1.7), tau)
    # For beta = 2 and N = 1, s_1 is 3.
    assert theory.detectable(1, 2, 1, 3) == pytest.approx(1)
    assert theory.detectable([1, 1, 9], 2, 1, 3.01).tolist() == pytest.approx([0, 0, 4 / 4.01**0.5])
    assert isinstance(theory.detectable(1, 2, 1, 3.01), float)
    assert isinstance(theory.detectable(9, 2, 1, 3), float)


@pytest.mark.parametrize("beta", [1.01, 1.5, 2, 4])
def test_mean_isolation_is_the_mean_over_integer_ranks(beta):
    neurons = np.array([20, 1000, 50_000])
    means = theory.mean_isolation(neurons, beta, 1.3, 0.8)
    for n, mean in zip(neurons, means, strict=True):
        s = theory.isolation(np.arange(1, 40_001), theory.last_represented(n, beta, 1.3), beta)
        assert mean == pytest.approx(s[s >= 0.8].mean(), rel=1e-9)
    assert np.isnan(theory.mean_isolation(1, beta, 1, 1000))


def test_refusals():
    for beta in (1, 0.5, np.nan):
        with pytest.raises(StudyError, match="beta must be above 1"):
            theory.last_represented(100, beta, 1)
    for neurons, kappa in [(0, 1), (-1, 1), ([10, 0], 1), (10, 0), (10, -1), (-10, -1), (np.nan, 1)]:
        with pytest.raises(StudyError, match="must be positive"):
            theory.detectable(neurons, 2, kappa, 1)


# -- correlations and slopes ------------------------------------------------------------------------------------------


def test_predicted_correlation_is_that_of_two_noisy_copies():
    rng, inputs = np.random.default_rng(0), 200_000
    for s, other in [(1, 1), (0.3, 8), (50, 0.1)]:
        feature = rng.standard_normal(inputs)
        a, b = (np.sqrt(x) * feature + rng.standard_normal(inputs) for x in (s, other))
        r = theory.predicted_correlation(s, other)
        assert np.corrcoef(a, b)[0, 1] == pytest.approx(r, abs=4 * (1 - r**2) / np.sqrt(inputs))
    assert theory.predicted_correlation(1, 1) == pytest.approx(0.5)
    assert theory.predicted_correlation([0, 3], 3).tolist() == [0, 0.75]


@given(st.floats(0, 1e6))
def test_isolation_of_correlation_is_the_inverse(s):
    assert theory.isolation_of_correlation(theory.predicted_correlation(s, s)) == pytest.approx(s, rel=1e-8)


def test_isolation_of_correlation_at_its_ends():
    assert theory.isolation_of_correlation([0, 0.5, 0.9, 1]).tolist() == pytest.approx([0, 1, 9, np.inf])


def test_beta_of_alpha():
    assert theory.beta_of_alpha(0.5) == 2
    found = theory.beta_of_alpha([0.4, 0, -0.5, 1, 1.2, np.nan])
    np.testing.assert_array_equal(found, [2.5, *[np.nan] * 5])


@given(st.floats(1.1, 5), st.integers(0, 1000))
def test_rank_slope_finds_a_planted_beta(beta, seed):
    s = theory.isolation(np.arange(1, 101), 40.0, beta)
    shuffled = np.random.default_rng(seed).permutation(s)
    assert theory.rank_slope(shuffled) == pytest.approx(beta)
    assert theory.rank_slope(shuffled, tau=0.05) == pytest.approx(beta)


def test_rank_slope_leaves_out_what_is_not_on_the_line():
    s = theory.isolation(np.arange(1, 31), 40.0, 2)
    s[10:] = 0.999  # below tau, and far off the line
    assert theory.rank_slope(s) == pytest.approx(2)
    assert theory.rank_slope([*s, np.nan]) == pytest.approx(2)
    s[:2] = np.inf
    assert theory.rank_slope(s) == pytest.approx(2)
    noisy = np.array([30, 9, 9.5, 4, 1.0])
    design = np.column_stack([np.ones(5), -np.log(np.arange(1, 6))])
    expected = np.linalg.lstsq(design, np.log(1 + np.sort(noisy)[::-1]), rcond=None)[0][1]
    assert theory.rank_slope(noisy) == pytest.approx(expected)
    assert np.isnan(theory.rank_slope([30, 9, 9.5, 4, 0.99]))
    assert np.isnan(theory.rank_slope([]))


# -- the simulation: its parts ----------------------------------------------------------------------------------------


def test_weights_of_a_network():
    rng, s, draws = np.random.default_rng(0), np.array([9.0, 4, 1, 0.25]), 1000
    background, owners, loadings = np.zeros((4, 7)), np.zeros((4, 4)), []
    for _ in range(draws):
        weights, own = network(s, 7, 3, rng)
        weights = weights.toarray().astype(float).T  # (neurons, features)
        assert sorted(own) == [0, 1, 2, 3]
        owners[np.arange(4), own] += 1
        np.testing.assert_allclose(weights[np.arange(4), own], np.sqrt(s[own]), rtol=1e-6)  # over an interference of 1
        weights[np.arange(4), own] = 0
        assert ((weights != 0).sum(1) == 3).all()
        np.testing.assert_allclose((weights**2).sum(1), 0.5, rtol=1e-5)
        background[own] += weights != 0
        loadings.append(weights[weights != 0])
    # Every place has every feature equally often; all features but its own are background, equally often.
    np.testing.assert_allclose(owners, draws / 4, atol=5 * np.sqrt(draws * 3 / 16))
    others = ~np.eye(4, 7, dtype=bool)
    assert (background[~others] == 0).all()
    np.testing.assert_allclose(background[others], draws / 2, atol=5 * np.sqrt(draws / 4))
    # Moments of the coordinates of a direction in space, for a square of the norm of 1/2.
    loadings = np.concatenate(loadings)
    assert loadings.mean() == pytest.approx(0, abs=5 * np.sqrt(0.5 / 3 / len(loadings)))
    assert (loadings**4).mean() == pytest.approx(0.5**2 / 5, rel=0.05)


def test_activations_are_the_weighted_sums_of_standardised_latents(monkeypatch):
    monkeypatch.setattr(theory_simulation, "NOISE", 0)
    identity = sparse.csr_array(np.eye(6, dtype=np.float32))
    latents = activations(identity, 50, np.random.default_rng(0))
    assert latents.dtype == np.float32
    np.testing.assert_allclose(latents.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(latents.std(1), 1, atol=1e-6)
    assert np.abs(np.corrcoef(latents) - np.eye(6)).max() < 0.6
    weights = np.random.default_rng(1).standard_normal((6, 6)).astype(np.float32)
    found = activations(sparse.csr_array(weights), 50, np.random.default_rng(0))
    np.testing.assert_allclose(found, weights.T @ latents, atol=1e-5)


def test_noise_of_activations():
    values = activations(sparse.csr_array((10, 4), dtype=np.float32), 50_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(values), np.eye(4) / 2, atol=5 * 0.5 * np.sqrt(2 / 50_000))


def test_latents_that_nobody_reads_are_not_drawn():
    """As many features as one likes: the values are the same, and there is time and memory for them."""
    few = sparse.coo_array(np.random.default_rng(1).standard_normal((5, 3), dtype=np.float32))
    row, column = few.coords
    many = sparse.coo_array((few.data, (row * 2_000_000, column)), shape=(10_000_000, 3))
    values = [activations(weights.tocsr(), 1000, np.random.default_rng(0)) for weights in (few, many)]
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("seed", range(5))
def test_mutual_best_partners_are_those_of_all_correlations(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((30, 40)) + 3, 5 * rng.standard_normal((30, 40))
    b[:10] += 4 * a[rng.permutation(30)[:10]]
    b[0] = a[7] + 1e-3 * rng.standard_normal(40)
    a, b = a.astype(np.float32), b.astype(np.float32)
    r = np.corrcoef(a, b)[:30, 30:]
    expected = [(i, j) for i in range(30) for j in range(30) if r[i, j] == r[i].max() == r[:, j].max()]
    pairs, found = match_activations(a, b)
    assert list(zip(*pairs, strict=True)) == expected
    np.testing.assert_allclose(1 - found, [1 - r[pair] for pair in expected], rtol=1e-3)


# -- the simulation: as a whole ---------------------------------------------------------------------------------------

SIZES, RUNS = [2**k for k in range(10, 16)], 4


@functools.cache
def simulated(beta: float) -> pd.DataFrame:
    return simulate(beta, SIZES, RUNS, inputs=2000)


def test_a_run_is_the_same_whatever_else_is_simulated():
    table = simulate(1.75, [64, 128], 2, inputs=200, seed=3)
    pd.testing.assert_frame_equal(table, simulate(1.75, [64, 128], 2, inputs=200, seed=3))
    alone = simulate(1.75, [128], 3, inputs=200, seed=3)
    pd.testing.assert_frame_equal(table.iloc[2:].reset_index(drop=True), alone.iloc[:2])
    measured = ["mean_isolation", "mean_correlation_error"]
    others = [simulate(1.75, [128], 1, inputs=200, seed=4), simulate(1.75 + 1e-9, [128], 1, inputs=200, seed=3)]
    values = pd.concat([table, *others])[measured]
    assert values.nunique().tolist() == [6, 6]
    # Sizes have draws of their own also where nothing else tells them apart.
    alike = [simulate(2, [n], 1, inputs=200, world=World(1024 / n, 4096 // n)) for n in (256, 1024)]
    assert alike[0].represented.iloc[0] == alike[1].represented.iloc[0] == 32
    assert alike[0].mean_isolation.iloc[0] != alike[1].mean_isolation.iloc[0]


def test_the_options_of_a_simulation():
    few, many = (simulate(2, [256], 1, inputs=500, world=World(kappa)).iloc[0] for kappa in (0.25, 4))
    assert (few.represented, many.represented) == (8, 32)  # r0 is 9 and 33, where isolation is zero
    assert few.predicted == pytest.approx(9 / 2**0.5)
    assert many.predicted_mean_isolation == pytest.approx(theory.mean_isolation(256, 2, 4, 1))
    with pytest.raises(StudyError, match="4 neurons were asked to represent 7 features"):
        simulate(2, [4], 1, world=World(kappa=10))
    for background in (0, 32):
        with pytest.raises(StudyError, match=f"each with {background} of 32 as background"):
            simulate(2, [8], 1, world=World(background=background))
    simulate(2, [8], 1, inputs=10, world=World(background=31))


@pytest.mark.slow(0.5)
@pytest.mark.parametrize("beta", [1.5, 2, 2.5])
def test_matches_are_what_the_model_predicts(beta):
    table = simulated(beta)
    assert list(zip(table.neurons, table.run, strict=True)) == [(n, run) for n in SIZES for run in range(RUNS)]
    s = [theory.isolation(np.arange(1, n), theory.last_represented(n, beta, 1), beta) for n in table.neurons]
    assert table.represented.tolist() == [(values > 0).sum() for values in s]
    assert (table.right <= table.matches).all()
    assert (table.matches <= table.represented).all()
    assert (table.matches - table.right).sum() < 0.02 * table.matches.sum()  # even of weak features
    # One feature more or less may cross the threshold, by rounding or by noise.
    assert ((table.matches_half - table.predicted).abs() < 2 + 0.03 * table.predicted).all()
    assert table.groupby("neurons").matches_half.mean().to_numpy() == pytest.approx(
        np.floor(table.groupby("neurons").predicted.first()).to_numpy(), abs=1.5
    )
    assert table.mean_isolation.to_numpy() == pytest.approx(table.predicted_mean_isolation.to_numpy(), rel=0.2)
    assert (table.mean_isolation / table.predicted_mean_isolation).mean() == pytest.approx(1, abs=0.03)
    assert table.mean_correlation_error.abs().max() < 0.015
    assert table.mean_correlation_error.mean() == pytest.approx(0, abs=0.001)


@pytest.mark.parametrize("beta", [1.5, 2, 2.5])
@pytest.mark.slow(0.3)
def test_where_no_input_is_shared_matches_are_half_of_all_and_weak(beta):
    table = simulated(beta)
    n = table.represented
    assert (table.null_half == 0).all()
    assert table.null.sum() == pytest.approx((n**2 / (2 * n - 1)).sum(), rel=0.05)


def test_counts_of_a_run_by_hand(monkeypatch):
    """Five features in known places, and known partners: a right one, two right ones with little r, two wrong ones."""
    places = iter([np.array([4, 0, 1, 2, 3]), np.array([0, 1, 3, 2, 4])])
    partners = iter(
        [
            (MutualPartners(np.arange(5), np.array([4, 0, 1, 2, 3])), np.array([0.5, 0.4, 0.3, 0.8, 0.9])),
            (MutualPartners(np.arange(3), np.arange(3)), np.array([0.5, -0.1, 0.49])),
        ]
    )
    draw = theory_simulation.network
    monkeypatch.setattr(theory_simulation, "network", lambda *args: (draw(*args)[0], next(places)))
    monkeypatch.setattr(theory_simulation, "match_activations", lambda a, b: next(partners))
    row = simulate(2, [25], 1, inputs=10).iloc[0]
    assert row[["represented", "matches", "right", "matches_half"]].tolist() == [5, 5, 3, 3]
    assert row[["null", "null_half"]].tolist() == [3, 1]
    assert row.mean_isolation == pytest.approx((1 + 4 + 9) / 3)
    # r0 is 6: the right one, of rank 5, has s / (1 + s) = 1 - (5 / 6)**2.
    assert row.mean_correlation_error == pytest.approx(0.5 - 11 / 36)


@pytest.mark.parametrize("beta", [1.5, 2, 2.5])
def test_the_exponent_of_the_count_is_recovered(beta):
    fits = recovered_exponent(simulated(beta), 0.95).set_index("quantity")
    assert fits.alpha.to_numpy() == pytest.approx(1 / beta, abs=0.05)
    assert fits.alpha.matches_half == pytest.approx(fits.alpha.predicted, abs=0.025)
    assert (fits.expected == 1 / beta).all()


def test_the_isolations_of_one_pair_of_networks_tell_beta():
    for beta in (1.5, 2.5):
        assert simulate(beta, [2**14], 1, inputs=4000).rank_slope[0] == pytest.approx(beta, rel=0.03)


def test_recovered_exponents_by_hand():
    neurons, wobble = np.array([10, 100, 1000, 10_000]), np.array([1.1, 0.9, 1.2, 1.0])
    table = pd.concat(
        pd.DataFrame({"beta": beta, "neurons": neurons, "run": run}).assign(
            # Only the means over runs are as planted.
            matches=5 * neurons**0.7 * (1 + 0.3 * run),
            matches_half=2 * wobble * neurons**0.4 * (1 + 0.3 * run * (neurons < 500)),
            predicted=neurons ** (1 / beta),
        )
        for beta in (2.0, 1.25)
        for run in (-2, -1, 3)
    )
    fits = recovered_exponent(table.sample(frac=1, random_state=0), 0.9)
    assert list(fits) == ["beta", "quantity", "alpha", "low", "high", "expected", "points"]
    assert fits.beta.tolist() == [1.25] * 3 + [2.0] * 3
    assert fits.quantity.tolist() == ["matches", "matches_half", "predicted"] * 2
    assert fits.expected.tolist() == [0.8] * 3 + [0.5] * 3
    assert (fits.points == 4).all()
    x, y = np.log(neurons), np.log(wobble * neurons**0.4)
    alpha, c = np.polyfit(x, y, 1)
    residual = y - alpha * x - c
    half = stats.t.ppf(0.95, 2) * np.sqrt((residual**2).sum() / 2 / ((x - x.mean()) ** 2).sum())
    for _, part in fits.groupby("beta"):
        assert part.alpha.tolist() == pytest.approx([0.7, alpha, part.expected.iloc[0]])
        assert (part.high - part.low).tolist() == pytest.approx([0, 2 * half, 0], abs=1e-6)
        assert part.high.iloc[1] == pytest.approx(alpha + half)
