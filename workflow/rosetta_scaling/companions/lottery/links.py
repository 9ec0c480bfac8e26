"""Which neurons belong together: symmetric pairs inside a network, and neurons that networks share, with their nulls.

A ticket is a pair (w, b, v), (-w, b, v). With SiLU, silu(z) + silu(-z) = z tanh(z / 2) = z^2 / 2 - z^4 / 24 + ...: one
pair with small w and v w^2 = 2 approximates x^2 to any accuracy. Neurons are compared by their parameters, in units of
the median magnitude of each over the networks of a width. Among more neurons more are alike by chance, so every share
is shown with nulls of the same density.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.signal import argrelmin
from scipy.spatial import cKDTree
from scipy.stats import norm

from rosetta_scaling.companions.lottery.results import Run, resample_counts
from rosetta_scaling.config.companions.lottery import LotterySettings
from rosetta_scaling.numerics.intervals import of_draws, of_resamples

MODE_COLUMNS = ["activation", "steps", "mode", "seeds", "share", "loss", "asymmetry", "null_untrained", "same_sign"]
MODE_COLUMNS += ["matched_same", "matched_other"]
MIRROR = np.array([-1.0, 1.0, 1.0])


def coordinates(hidden: np.ndarray, out: np.ndarray, activation: str) -> np.ndarray:
    """w, b, v of neurons (seeds, width, 3), each divided by its median magnitude.

    Since relu(a z) = a relu(z), the length of (w, b) is arbitrary; it is first made equal to |v|.
    """
    hidden, out = hidden.astype(float), out.astype(float)[..., None]
    if activation == "relu":
        length = np.linalg.norm(hidden, axis=-1, keepdims=True)
        shared = np.sqrt(length * np.abs(out))
        hidden, out = hidden * shared / np.where(length > 0, length, 1), np.sign(out) * shared
    values = np.concatenate([hidden, out], -1)
    unit = np.median(np.abs(values), axis=(0, 1))
    return values / np.where(unit > 0, unit, 1)


def of_run(run: Run, width: int, initial: str = "") -> np.ndarray:
    """Coordinates of the networks of a width; `initial_` for those before training."""
    found = run.networks[width]
    return coordinates(found[f"{initial}hidden"], found[f"{initial}out"], run.activation)


def distances(a: np.ndarray, b: np.ndarray, itself: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The nearest neuron of b (m, 3) to every neuron of a (n, 3): its index, and their distance over their mean length.

    With `itself`, neuron i of b is not considered for neuron i of a.
    """
    distance, index = cKDTree(b).query(a, k=2)
    second = itself & (index[:, 0] == np.arange(len(a)))
    distance = np.where(second, distance[:, 1], distance[:, 0])
    index = np.where(second, index[:, 1], index[:, 0])
    return index, 2 * distance / (np.linalg.norm(a, axis=1) + np.linalg.norm(b[index], axis=1))


def alike(a: np.ndarray, b: np.ndarray, close: float, itself: bool = False) -> np.ndarray:
    """Neurons of a (n,) with a mutual nearest neighbour in b that is closer than `close`."""
    index, distance = distances(a, b, itself)
    back, _ = distances(b, a, itself)
    return (back[index] == np.arange(len(a))) & (distance < close)


# ---- symmetric pairs -------------------------------------------------------------------------------------------------


def pair_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """Share of neurons in symmetric pairs, network by network, against three nulls.

    Columns: activation, steps, width, seeds, share, low, high, null_other (mirror partners in the next seed's network),
    null_sign (random signs of w, which keeps half of all true pairs), null_untrained, excess (beyond the largest
    null) with _low, _high, distance and distance_other (median from the mirror image to its nearest neuron).
    """
    rows = []
    for run in runs:
        for width in settings.widths:
            trained, untrained = of_run(run, width), of_run(run, width, "initial_")
            rng = np.random.default_rng([settings.seed, width, 6])
            drawn, apart = [], []
            for seed, own in enumerate(trained):
                other = trained[(seed + 1) % len(trained)]
                signed = own * np.column_stack([rng.choice([-1, 1], width), np.ones((width, 2))])
                tests = [(own, own, True), (own, other, False), (signed, signed, True)]
                tests.append((untrained[seed], untrained[seed], True))
                drawn.append([alike(a * MIRROR, b, settings.close, itself).mean() for a, b, itself in tests])
                apart.append([np.median(distances(a * MIRROR, b, itself)[1]) for a, b, itself in tests[:2]])
            shares = np.array(drawn)
            means = shares.mean(0)
            draws = resample_counts(settings, len(shares)) @ shares / len(shares)
            low, high = of_draws(draws[:, 0], settings.confidence)
            below, above = of_draws(draws[:, 0] - draws[:, 1:].max(1), settings.confidence)
            rows.append(
                run.name
                | {"width": width, "seeds": len(shares), "share": means[0], "low": low, "high": high}
                | dict(zip(("null_other", "null_sign", "null_untrained"), means[1:], strict=True))
                | {"excess": means[0] - means[1:].max(), "excess_low": below, "excess_high": above}
                | dict(zip(("distance", "distance_other"), np.median(apart, axis=0), strict=True))
            )
    return pd.DataFrame(rows)


def find_modes(values: np.ndarray, bandwidth: float) -> np.ndarray:
    """Mode (n,) of every value, from 0 for the smallest: a Gaussian density is cut at its minima."""
    grid = np.arange(values.min() - 3 * bandwidth, values.max() + 3 * bandwidth, bandwidth / 10)
    density = norm.pdf((grid[:, None] - values) / bandwidth).sum(1)
    return np.searchsorted(grid[argrelmin(density)[0]], values)


def ticket_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """Every network of two neurons: activation, steps, seed, loss, mode (0 has the smallest losses), share (of the
    seeds in that mode), asymmetry (0: mirror images of each other), w1, b1, v1, w2, b2, v2, c."""
    rows = []
    for run in runs:
        losses, found = run.losses(2), run.networks[2]
        modes = find_modes(np.log10(losses), settings.mode_bandwidth)
        for seed, own in enumerate(of_run(run, 2)):
            row = {"seed": seed, "loss": losses[seed], "mode": modes[seed], "share": (modes == modes[seed]).mean()}
            row["asymmetry"] = asymmetry(own)
            for neuron in range(2):
                parameters = [*found["hidden"][seed, neuron], found["out"][seed, neuron]]
                row |= {f"{name}{neuron + 1}": value for name, value in zip("wbv", parameters, strict=True)}
            rows.append(run.name | row | {"c": found["offset"][seed, 0]})
    return pd.DataFrame(rows)


def neuron_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """All neurons of one of the widest networks: activation, steps, width, neuron, and w, b, v without scaling."""
    width, parts = settings.widths[-1], []
    for run in runs:
        found = run.networks[width]
        (w, b), v = found["hidden"][0].T, found["out"][0]
        parts.append(pd.DataFrame(run.name | {"width": width, "neuron": range(width), "w": w, "b": b, "v": v}))
    return pd.concat(parts, ignore_index=True)


def asymmetry(pair: np.ndarray) -> float:
    """How far one neuron of a pair (2, 3) is from the mirror image of the other, over the mean of their lengths."""
    return 2 * np.linalg.norm(pair[0] * MIRROR - pair[1]) / np.linalg.norm(pair, axis=1).sum()


def mode_table(settings: LotterySettings, runs: list[Run], tickets: pd.DataFrame) -> pd.DataFrame:
    """Modes of the networks of two neurons that hold enough seeds.

    Columns: activation, steps, mode, seeds, share, loss (median), asymmetry (median), null_untrained (the same of all
    networks before training), same_sign (share with w of one sign), and the share of neurons that another network has
    too: matched_same for networks of the same mode, matched_other for those of other modes.
    """
    rows = []
    for run in runs:
        of_this = tickets[(tickets.activation == run.activation) & (tickets.steps == run.steps)]
        kept = of_this[of_this.share >= settings.mode_share]
        members = {mode: part.seed.head(settings.link_seeds).tolist() for mode, part in kept.groupby("mode")}
        null = np.median([asymmetry(pair) for pair in of_run(run, 2, "initial_")])
        networks = of_run(run, 2)
        for mode, part in kept.groupby("mode"):
            others = [seed for one, seeds in members.items() if one != mode for seed in seeds]
            pairs: dict[str, Iterable] = {"same": itertools.combinations(members[mode], 2)}
            pairs["other"] = itertools.product(members[mode], others)
            shares = {
                f"matched_{name}": pd.Series(
                    [shared_neurons(networks[a], networks[b], settings.close) for a, b in those]
                ).mean()
                for name, those in pairs.items()
            }
            row = {"mode": mode, "seeds": len(part), "share": part.share.iloc[0], "loss": part.loss.median()}
            row |= {"asymmetry": part.asymmetry.median(), "null_untrained": null}
            rows.append(run.name | row | {"same_sign": (part.w1 * part.w2 > 0).mean()} | shares)
    return pd.DataFrame(rows, columns=MODE_COLUMNS)


# ---- neurons that networks share -------------------------------------------------------------------------------------


def shared_neurons(a: np.ndarray, b: np.ndarray, close: float) -> float:
    """Share of the neurons (n, 3) of one network that another has too, or its mirror image if that has more of them.

    x^2 is even, so f(-x) is as good a network as f(x). The whole network is mirrored: mirroring single neurons
    would make the two neurons of a ticket equal, so that they would compete for the same partner.
    """
    return max(alike(a, b, close).mean(), alike(a, b * MIRROR, close).mean())


def over_pairs(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean (draws,) of values (seeds, seeds) over pairs of different seeds, which weights (draws, seeds) count."""
    values, different = values.copy(), 1 - np.eye(len(values))
    values[np.diag_indices(len(values))] = 0
    return ((weights @ values) * weights).sum(1) / ((weights @ different) * weights).sum(1)


def against_nulls(settings: LotterySettings, real: np.ndarray, nulls: dict[str, np.ndarray]) -> dict[str, float]:
    """share, low, high of a measure of pairs of seeds (seeds, seeds), null_NAME, and the excess beyond the largest."""
    measures, seeds = [real, *nulls.values()], len(real)
    counts = resample_counts(settings, seeds)
    counts = counts[(counts > 0).sum(1) > 1]  # a draw of one seed alone has no pair
    share, *means = (over_pairs(one, np.ones((1, seeds)))[0] for one in measures)
    draws, *null_draws = (over_pairs(one, counts) for one in measures)
    low, high = of_resamples(draws, settings.confidence, seeds)
    below, above = of_resamples(draws - np.max(null_draws, axis=0), settings.confidence, seeds)
    found = {"share": share, "low": low, "high": high}
    found |= {f"null_{name}": mean for name, mean in zip(nulls, means, strict=True)}
    return found | {"excess": share - max(means), "excess_low": below, "excess_high": above}


def pairwise(measure: Callable, networks: Sequence | np.ndarray) -> np.ndarray:
    """measure(one, other) of all pairs of networks: symmetric (seeds, seeds), or more axes if it gives an array."""
    i, j = np.array(list(itertools.combinations(range(len(networks)), 2))).T
    values = np.array([measure(networks[a], networks[b]) for a, b in zip(i, j, strict=True)], float)
    found = np.zeros((len(networks), len(networks), *values.shape[1:]))
    found[i, j] = found[j, i] = values
    return found


def match_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """Share of neurons that another seed's network has too, by their parameters, for all pairs of seeds.

    Columns: activation, steps, width, seeds, share, low, high, null_untrained, null_shuffled (w, b and v shuffled
    among all neurons of the width), excess (beyond the larger null) with _low, _high, copies (share of neurons that
    resemble another one of their own network) and copies_shuffled.
    """
    rows = []

    def measure(a: np.ndarray, b: np.ndarray) -> float:
        return shared_neurons(a, b, settings.close)

    for run in runs:
        for width in settings.widths:
            all_seeds = of_run(run, width)
            rng = np.random.default_rng([settings.seed, width, 7])
            dealt = rng.permuted(all_seeds.reshape(-1, 3), axis=0).reshape(all_seeds.shape)
            kinds = [all_seeds, of_run(run, width, "initial_"), dealt]
            real, untrained, shuffled = (pairwise(measure, kind[: settings.link_seeds]) for kind in kinds)
            copies = [np.mean([alike(own, own, settings.close, itself=True) for own in kind]) for kind in kinds]
            rows.append(
                run.name
                | {"width": width, "seeds": len(real)}
                | against_nulls(settings, real, {"untrained": untrained, "shuffled": shuffled})
                | {"copies": copies[0], "copies_shuffled": copies[2]}
            )
    return pd.DataFrame(rows)
