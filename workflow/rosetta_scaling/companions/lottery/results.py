"""Tables of the lottery study: losses as a function of width, all local slopes, and exponents in a window.

The replicate is the network: every interval comes from resampled seeds. Activations and training lengths start
from the same networks and are resampled in the same way, so that differences between them are paired.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rosetta_scaling.config.companions.lottery import ACTIVATIONS, LotterySettings
from rosetta_scaling.numerics.intervals import of_draws
from rosetta_scaling.power_laws.estimators import fit_power_law
from rosetta_scaling.store.tensors import read_tensors

NETWORKS = "networks.safetensors"  # in the folder of every job
VARIANCE = 64 / 45  # of x^2 for x uniform in [-2, 2]: the loss of the best constant


@dataclass(frozen=True)
class Run:
    """What one job trained: `networks` has the arrays of networks.train_square by width."""

    activation: str
    steps: int
    networks: dict[int, dict[str, np.ndarray]]

    @property
    def name(self) -> dict:
        """Columns that name the run in tables."""
        return {"activation": self.activation, "steps": self.steps}

    def errors(self, width: int) -> np.ndarray:
        """f(x) - x^2 (seeds, evaluation points), float64."""
        outputs = self.networks[width]["outputs"].astype(float)
        return outputs - midpoints(outputs.shape[1]) ** 2

    def losses(self, width: int) -> np.ndarray:
        """Mean squared error (seeds,) between the training inputs."""
        return (self.errors(width) ** 2).mean(1)


def midpoints(points: int) -> np.ndarray:
    """Centres (points,) of equal cells of [-2, 2]; the relative error of their mean of x^2 is 1 / points^2.

    >>> midpoints(4)
    array([-1.5, -0.5,  0.5,  1.5])
    """
    return 2 * (2 * np.arange(points) + 1) / points - 2


def watched_steps(steps: int) -> list[int]:
    """Steps at which the loss of all networks is recorded, evenly spaced on a log axis: about 16 per decade."""
    return np.unique(np.geomspace(1, steps, int(16 * np.log10(steps)) + 1).round().astype(int)).tolist()


def run_path(folder: str | Path, activation: str, steps: int) -> Path:
    """The file with the networks of a training job, in the folder of all jobs."""
    return Path(folder) / f"{activation}-{steps}" / NETWORKS


def read_run(settings: LotterySettings, folder: str | Path, activation: str, steps: int) -> Run:
    """What one training job wrote into the folder of all jobs."""
    networks: dict[int, dict[str, np.ndarray]] = {width: {} for width in settings.widths}
    for key, value in read_tensors(run_path(folder, activation, steps)).items():
        width, name = key.split(".")
        networks[int(width)][name] = value.numpy()
    return Run(activation, steps, networks)


def read_runs(settings: LotterySettings, folder: str | Path) -> list[Run]:
    """What all training jobs on y = x^2 wrote, for both activations and both lengths."""
    return [read_run(settings, folder, activation, steps) for activation in ACTIVATIONS for steps in settings.steps]


def best_piecewise_linear(neurons: np.ndarray | float) -> np.ndarray | float:
    """Least mean squared error of any ReLU network with an even number of neurons: 64/45 (N + 1)^-4.

    N kinks make N + 1 pieces. On a piece of length h the best line has a mean squared error of h^4 / 180 from x^2. With
    equal pieces these lines meet at the kinks; half of the neurons on either side give them their slopes.
    """
    return VARIANCE * (np.asarray(neurons, float) + 1) ** -4


def resample_counts(settings: LotterySettings, seeds: int) -> np.ndarray:
    """How often (draws, seeds) every seed is drawn in a resample."""
    rng = np.random.default_rng([settings.seed, seeds, 3])
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=settings.bootstrap).astype(float)


def log_medians(settings: LotterySettings, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """log2 of the median loss of every width (widths,), and of its resamples (draws, widths).

    All runs are resampled in the same way, since they start from the same networks; widths are resampled separately.
    """
    medians, draws = [], []
    for width in settings.widths:
        losses = run.losses(width)
        rng = np.random.default_rng([settings.seed, width, 4])
        picked = rng.integers(len(losses), size=(settings.bootstrap, len(losses)))
        medians.append(np.log2(np.median(losses)))
        draws.append(np.log2(np.median(losses[picked], axis=1)))
    return np.array(medians), np.stack(draws, 1)


def loss_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """Columns: activation, steps, width, seeds, median, low, high, best, train_median (on the training inputs),
    constant (share of seeds that are hardly better than a constant), optimum (ReLU: of any network)."""
    rows = []
    for run in runs:
        _, draws = log_medians(settings, run)
        for i, width in enumerate(settings.widths):
            losses = run.losses(width)
            low, high = 2 ** np.array(of_draws(draws[:, i], settings.confidence))
            rows.append(
                run.name
                | {"width": width, "seeds": len(losses), "median": np.median(losses), "low": low, "high": high}
                | {"best": losses.min(), "train_median": np.median(run.networks[width]["train"])}
                | {"constant": (losses > VARIANCE / 2).mean()}
                | {"optimum": best_piecewise_linear(width) if run.activation == "relu" else np.nan}
            )
    return pd.DataFrame(rows)


def curve_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """Median loss during training: activation, steps, width, step, loss."""
    parts = []
    for run in runs:
        for width, found in run.networks.items():
            rows = {"step": watched_steps(run.steps), "loss": np.median(found["curve"], axis=0)}
            parts.append(pd.DataFrame(run.name | {"width": width} | rows))
    return pd.concat(parts, ignore_index=True)


def slope_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """Every local slope of ln(median loss) on ln(width), from `width` to `next_width`, with its interval, that on the
    training inputs, and that of the best piecewise linear function."""
    rows = []
    octaves = list(zip(settings.widths, settings.widths[1:], strict=False))
    guide = np.diff(np.log2(best_piecewise_linear(np.array(settings.widths))))
    for run in runs:
        medians, draws = log_medians(settings, run)
        train = np.log2([np.median(run.networks[width]["train"]) for width in settings.widths])
        for i, (width, next_width) in enumerate(octaves):
            low, high = of_draws(draws[:, i + 1] - draws[:, i], settings.confidence)
            rows.append(
                run.name
                | {"width": width, "next_width": next_width, "slope": medians[i + 1] - medians[i]}
                | {"low": low, "high": high, "train_slope": train[i + 1] - train[i], "optimum_slope": guide[i]}
            )
    return pd.DataFrame(rows)


def fit_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """The exponent of the median loss in the window, by least squares in log-log.

    Columns: activation, steps, first, last, points, alpha, low, high, c, r2; student_low and
    student_high are the interval from the scatter of the medians about the line, seeds_low and seeds_high that from
    resampled seeds. Few seeds widen the second, a curve that is not a power law the first; low and high take the wider
    of the two on either side.
    """
    rows = []
    widths = settings.within(settings.window)
    for run in runs:
        medians, draws = (logs[..., _columns(settings)] for logs in log_medians(settings, run))
        fit = fit_power_law(np.array(widths), 2**medians, settings.confidence)
        seeds = of_draws(window_slope(widths, draws), settings.confidence)
        rows.append(
            run.name
            | {"first": widths[0], "last": widths[-1], "points": len(widths), "alpha": fit["alpha"]}
            | {"low": min(fit["low"], seeds[0]), "high": max(fit["high"], seeds[1]), "c": fit["c"], "r2": fit["r2"]}
            | {"student_low": fit["low"], "student_high": fit["high"], "seeds_low": seeds[0], "seeds_high": seeds[1]}
        )
    return pd.DataFrame(rows)


def _columns(settings: LotterySettings) -> list[int]:
    return [settings.widths.index(width) for width in settings.within(settings.window)]


def window_slope(widths: list[int], log_losses: np.ndarray) -> np.ndarray:
    """Least-squares slope of log2 losses (..., widths) on log2 widths."""
    x = np.log2(widths)
    x -= x.mean()
    return log_losses @ x / (x @ x)


def difference_table(settings: LotterySettings, runs: list[Run]) -> pd.DataFrame:
    """Differences between activations and between training lengths, with paired resamples of the seeds.

    Columns: of ("relu less silu", "longer less shorter"), within (what the two have in common: "5000 steps", "silu"),
    quantity (alpha; decades: log10 of the ratio of losses, mean over the window), value, low, high.
    """
    widths, columns = settings.within(settings.window), _columns(settings)
    logs = {tuple(run.name.values()): log_medians(settings, run) for run in runs}
    compared = [
        *(("relu less silu", f"{steps} steps", ("relu", steps), ("silu", steps)) for steps in settings.steps),
        *(("longer less shorter", a, (a, settings.steps[1]), (a, settings.steps[0])) for a in ACTIVATIONS),
    ]
    rows = []
    for of, within, one, other in compared:
        value, draws = (a[..., columns] - b[..., columns] for a, b in zip(logs[one], logs[other], strict=True))
        found = {
            "alpha": (window_slope(widths, value), window_slope(widths, draws)),
            "decades": (value.mean(-1) * np.log10(2), draws.mean(-1) * np.log10(2)),
        }
        for quantity, (estimate, resamples) in found.items():
            low, high = of_draws(resamples, settings.confidence)
            row = {"of": of, "within": within, "quantity": quantity, "value": estimate, "low": low, "high": high}
            rows.append(row)
    return pd.DataFrame(rows)
