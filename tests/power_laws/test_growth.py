"""One exponent for all points of all curves, on simulated studies of the sizes of the study `ladder`."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rosetta_scaling.power_laws import growth
from rosetta_scaling.power_laws.crossed import crossed_regression
from rosetta_scaling.power_laws.estimators import fit_power_law
from rosetta_scaling.power_laws.growth import fit_growth
from rosetta_scaling.store.errors import StudyError

CURVES = {"nb": "n b", "nl": "n l", "bl": "b l", "nbl": "n b l", "nm": "n m", "mb": "m b"}
N = 192 * 2.0 ** np.arange(5)


def simulated(rng, alpha: float, networks=0.05, points=0.0, level=1.3, decoys=0.5) -> tuple[pd.DataFrame, list]:
    """Numbers beyond decoys of six curves, two of three points; networks and points scatter, and counts by chance."""
    rows, members, of = [], [], {}
    for curve, families in CURVES.items():
        for i in range(3 if "m" in families else 5):
            names = [f"{family}{i}" for family in families.split()]
            scatter = sum(of.setdefault(name, rng.normal(0, networks)) for name in names) + rng.normal(0, points)
            mean = level * 192**0.6 * (N[i] / 192) ** alpha * np.exp(scatter)
            error = np.sqrt(mean + 2 * decoys * N[i] ** 0.6) if decoys else 0.0
            rows.append((curve, N[i], mean + rng.normal(0, 1) * error, error))
            members.append(names)
    return pd.DataFrame(rows, columns=["curve", "x", "y", "se"]), members


def test_one_curve_of_exact_measurements_has_the_interval_of_least_squares():
    y = 30 * (N / 192) ** 0.6 * np.array([1.02, 0.99, 0.98, 1.01, 1.0])
    table = pd.DataFrame({"curve": "a", "x": N, "y": y, "se": 0.0})
    found = fit_growth(table, [[f"a{i}", f"b{i}"] for i in range(5)], 0.95).alpha
    line = fit_power_law(N, y)
    assert found.value == pytest.approx(line["alpha"], abs=0.002)
    assert found.freedom == 3
    assert found.high - found.low == pytest.approx(line["high"] - line["low"], rel=0.6)
    assert found.p_above(0) < 1e-4 < 0.99 < found.p_below(0)


def test_the_ends_of_the_interval_have_the_p_of_the_confidence():
    found = fit_growth(*simulated(np.random.default_rng(0), 0.6), 0.95).alpha
    assert found.p_above(found.low) == pytest.approx(0.025, abs=1e-4)
    assert found.p_below(found.high) == pytest.approx(0.025, abs=1e-4)
    assert found.networks == 18
    assert found.points == 26


def test_another_curve_of_the_same_networks_tells_less_than_one_of_others():
    """The same values twice narrow the interval, but by much less when they are of the same networks."""
    narrower = []
    for seed in range(4):
        table, members = simulated(np.random.default_rng(seed), 0.6, 0.1, decoys=10)
        both = pd.concat([table, table.assign(curve=table.curve + " again")])
        once = fit_growth(table, members, 0.95).alpha
        twice = fit_growth(both, members * 2, 0.95).alpha
        strangers = fit_growth(both, members + [[f"{name}x" for name in of] for of in members], 0.95).alpha
        assert twice.freedom <= once.freedom < strangers.freedom
        narrower.append([(of.high - of.low) / (once.high - once.low) for of in (twice, strangers)])
    same, other = np.mean(narrower, axis=0)
    assert other < 0.7 < 0.8 < same


@pytest.mark.slow(1)
@pytest.mark.parametrize(("networks", "points"), [(0.05, 0.0), (0.0, 0.1), (0.1, 0.1)])
def test_intervals_cover_and_growth_is_seen_at_the_sizes_of_the_default_study(networks, points):
    rng, found = np.random.default_rng(0), []
    for _ in range(100):
        alpha = fit_growth(*simulated(rng, 0.6, networks, points), 0.95).alpha
        found.append((alpha.low <= 0.6 <= alpha.high, alpha.low > 0 and alpha.high < 1))
    covered, sublinear = np.mean(found, axis=0)
    assert covered >= stats.binom.ppf(0.005, 100, 0.95) / 100
    assert sublinear >= 0.8


@pytest.mark.slow(1)
def test_proportional_growth_is_rarely_called_sublinear():
    rng = np.random.default_rng(0)
    found = [fit_growth(*simulated(rng, 1.0), 0.95).alpha.high < 1 for _ in range(100)]
    assert np.mean(found) <= stats.binom.ppf(0.995, 100, 0.05) / 100


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("values", "says"),
    [((1.0, 2.0), "no common exponent"), ((0.0, -1.0, -2.0, -1.0), "no common exponent"),
     ((1.0, np.nan, 2.0, 3.0), "without a size, a value")],
)  # fmt: skip
def test_what_has_no_exponent_is_refused(values, says):
    table = pd.DataFrame({"curve": "a", "x": N[: len(values)], "y": values, "se": 1.0})
    with pytest.raises(StudyError, match=says):
        fit_growth(table, [["a", "b"]] * len(values), 0.95)


def test_where_every_exponent_fits_none_is_given():
    table = pd.DataFrame({"curve": "a", "x": N[:4], "y": [1.0, -1.0, 2.0, 1.0], "se": 3.0})
    members = [[f"a{i}", f"b{i}"] for i in range(4)]
    with pytest.raises(StudyError, match="every exponent from -2 to 4 fits"):
        fit_growth(table, members, 0.95)
    assert fit_growth(table.assign(se=0.1, y=table.x**0.5), members, 0.95).alpha.value == pytest.approx(0.5)
    with pytest.raises(StudyError, match="did not settle"):
        fit_growth(table.assign(y=[-1.0, 0.5, -1.0, 3.0]), members, 0.95)


def test_the_exponent_does_not_depend_on_where_the_search_begins(monkeypatch):
    """Where little is shared, exponent and weights can chase each other: three whole rounds were up to 3.9 apart."""
    found = {first: [] for first in (0.2, 0.7, 1.2)}
    for first, exponents in found.items():
        monkeypatch.setattr(growth, "FIRST", first)
        for seed in range(25):
            study = simulated(np.random.default_rng(seed), 0.6, 0.1, 0.1, level=0.05, decoys=0.1)
            with contextlib.suppress(StudyError):
                exponents.append((seed, fit_growth(*study, 0.95).alpha.value))
    table = pd.DataFrame({first: pd.Series(dict(exponents)) for first, exponents in found.items()}).dropna()
    assert len(table) >= 10
    assert np.ptp(table.to_numpy(), axis=1).max() < 0.005


def test_a_mean_of_strangers_is_that_of_the_textbook():
    y = np.array([0.1, 0.3, 0.2, 0.5, 0.0, 0.4])
    found = crossed_regression(np.ones((6, 1)), y, np.zeros(6), [[str(i)] for i in range(6)], which=0, confidence=0.95)
    assert found.value == pytest.approx(y.mean())
    low, high = stats.t.interval(0.95, 5, y.mean(), stats.sem(y))
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)
    with pytest.raises(StudyError, match="too few"):
        crossed_regression(np.ones((2, 1)), y[:2], np.zeros(2), [["a"], ["b"]], which=0, confidence=0.95)
