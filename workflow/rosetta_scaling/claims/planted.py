"""Tables of a study of given sizes in which the truth is known, for the operating characteristics of claims.

`sizes` has a row per point: curve, point, models, anchor, neurons, anchor_neurons, as counts.csv has. Errors are those
that the measurement has at these numbers of neurons; beside them, networks differ as SCATTER and SPREAD say.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.estimates import Z
from rosetta_scaling.schemas.nulls import NULLS

SHARED = 1.3  # shared neurons of networks with n: SHARED n^alpha, scaled to agree at the smallest size ...
ALPHA = 0.6  # ... which makes 16% of 192 and 5% of 3,072 neurons; the paper's exponents are about 0.5 to 0.7
DECOYS = 0.5  # neurons that win in one draw of decoys: DECOYS n^ALPHA, as measured between NeoX and BLOOM
DRAWS = 8  # of decoys
SCATTER = 0.05  # standard deviation of ln count between networks, and again between points
SPREAD = 0.05  # standard deviation between networks of a rank-biserial effect, of a share, of normalised firing
ADJUSTED = 1.3  # standard error of an adjusted effect over that of one as measured
FIRING = 1.5  # standard deviation of normalised firing over neurons


def shared_neurons(sizes: pd.DataFrame, alpha: float) -> np.ndarray:
    """Expected shared neurons (points,)."""
    n = sizes.neurons.to_numpy(float)
    return SHARED * n.min() ** ALPHA * (n / n.min()) ** alpha


def scattered(sizes: pd.DataFrame, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """What the networks of every point, and the point itself, add to it (points,)."""
    of_networks: dict[str, float] = {}
    draws = [
        [of_networks.setdefault(name, rng.normal(0, deviation)) for name in models.split()] for models in sizes.models
    ]
    return np.array([sum(one) for one in draws]) + rng.normal(0, deviation, len(sizes))


def planted_counts(sizes: pd.DataFrame, alpha: float, rng: np.random.Generator, *, share: float = 1.0) -> pd.DataFrame:
    """Rows of counts.csv whose counts grow with exponent alpha; nulls of zero. `share`: how much of that is there.

    The number beyond the decoys has the error of the neurons that win less those that win in DRAWS draws of decoys.
    """
    mean = share * shared_neurons(sizes, alpha) * np.exp(scattered(sizes, SCATTER, rng))
    decoys = DECOYS * sizes.neurons.to_numpy(float) ** ALPHA
    error = np.sqrt(mean + decoys * (1 + 1 / DRAWS))
    beyond = mean + rng.normal(0, 1, len(sizes)) * error
    count = np.round(mean)
    half = Z * np.sqrt(np.maximum(count, 1)) / 2  # documents move a count by about half its root
    columns = {
        "count": count,
        "count_low": count - half,
        "count_high": count + half,
        "beyond_decoys": beyond,
        "beyond_decoys_se": error,
        "common_r": 0.5,
        "corrected": beyond,
        "corrected_se": error,
    }
    columns |= {column: 0.0 for null in NULLS.values() for column in null.columns}
    return pd.concat([sizes, pd.DataFrame(columns, sizes.index)], axis=1)  # one by one they take most of the time


def rosetta_and_others(sizes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    rosetta = np.round(shared_neurons(sizes, ALPHA))
    return rosetta, sizes.anchor_neurons.to_numpy(float) - rosetta


def of_anchors(sizes: pd.DataFrame, means: np.ndarray, errors: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Values of anchors with an interval (low, high); a network that anchors several curves has the same in each."""
    made = sizes.assign(model=sizes.anchor, is_anchor=True, mean_of=means, error=errors)
    values = {
        name: part.mean_of.mean() + rng.normal(0, np.hypot(SPREAD, part.error.mean()))
        for name, part in made.groupby("anchor", sort=False)
    }
    value = sizes.anchor.map(values).to_numpy(float)
    return made.assign(value=value, low=value - Z * errors, high=value + Z * errors)


def planted_effects(sizes: pd.DataFrame, effect: float, slope: float, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of polarization.csv: adjusted effects that grow by `slope` per decade around their mean `effect`."""
    rosetta, others = rosetta_and_others(sizes)
    logs = np.log10(sizes.neurons.to_numpy(float))
    errors = ADJUSTED * np.sqrt((rosetta + others + 1) / (3 * rosetta * others))
    made = of_anchors(sizes, effect + slope * (logs - logs.mean()), errors, rng)
    return made.assign(
        adjusted=made.value,
        adjusted_low=made.low,
        adjusted_high=made.high,
        effect=made.value,
        placebo=0.0,
        balanced=True,
    )


def planted_firing(sizes: pd.DataFrame, slope: float, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of specialisation.csv: means of normalised firing that grow by `slope` per decade."""
    logs = np.log10(sizes.neurons.to_numpy(float))
    errors = FIRING / np.sqrt(rosetta_and_others(sizes)[0])
    made = of_anchors(sizes, 1 + slope * (logs - logs.mean()), errors, rng)
    return made.assign(mean=made.value, placebo=1.0)


def planted_depths(sizes: pd.DataFrame, beyond: float, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of diagonal.csv: a share of matches `beyond` a null of 0.3 joins layers of the same depth."""
    matches = rosetta_and_others(sizes)[0]
    first = [models.split()[:2] for models in sizes.models]
    error = np.sqrt(0.25 / matches)
    share = 0.3 + beyond + scattered(sizes, SPREAD / 2, rng) + rng.normal(0, 1, len(sizes)) * error
    made = sizes.assign(model_a=[a for a, _ in first], model_b=[b for _, b in first], matches=matches, share=share)
    return made.assign(low=share - Z * error, high=share + Z * error, expected=0.3, rotated=0.3)


def planted_isolation(sizes: pd.DataFrame, gap: float, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of isolation.csv: isolation x matches / neurons grows with exponent `gap`."""
    n = sizes.neurons.to_numpy(float)
    matches = shared_neurons(sizes, ALPHA)
    isolation = n / matches * (n / n.min()) ** gap * np.exp(scattered(sizes, SCATTER, rng))
    return sizes[["curve", "point"]].assign(kind="real", matches=matches, isolation=isolation)
