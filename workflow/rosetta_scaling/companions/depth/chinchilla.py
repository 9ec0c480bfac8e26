"""Fits of the loss of published runs to width, depth and data, and to the rival form of parameters and data only.

Liu et al. 2026 (arXiv 2602.05970, equation 3) fit loss = a width^-alpha_m + b depth^-alpha_l + c tokens^-alpha_D + e to
the digitised runs of Hoffmann et al. 2022. The table of runs belongs to others and is not shipped. It is a csv with one
row per run and columns width (of the residual stream), depth (blocks), parameters, tokens, loss (nats per token). Width
and depth of these runs rise together, so the fit hardly separates them; all choices of runs are therefore shown.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize

from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.numerics import intervals
from rosetta_scaling.store.errors import DamagedFile, StudyError
from rosetta_scaling.store.tables import read_table

COLUMNS = ("width", "depth", "parameters", "tokens", "loss")
FORMS = {"width and depth": ("width", "depth", "tokens"), "parameters": ("parameters", "tokens")}
RANGE = (0.01, 10.0)  # of exponents
STARTS = ((0.3, 0.1), (1.0, 0.1), (0.5, 0.03))  # exponents, and the shares of the loss above its floor


def read_runs(path: str | Path) -> pd.DataFrame:
    """The table of runs, sorted by loss. Raises StudyError that says what file is expected."""
    expected = (
        f"expected a .csv with a row per published run and the columns {', '.join(COLUMNS)} (loss in nats per token, "
        "all positive), such as the digitised runs of Hoffmann et al. 2022; put it there, or set chinchilla to null"
    )
    if not Path(path).is_file():
        raise StudyError(f"{path}: no such file; {expected}")
    try:
        runs = read_table(path)
    except DamagedFile as error:
        raise StudyError(f"{path} cannot be read as a table ({error.reason}); {expected}") from error
    if missing := [name for name in COLUMNS if name not in runs]:
        raise StudyError(f"{path} lacks the columns {', '.join(missing)}; {expected}")
    values = runs[list(COLUMNS)].apply(pd.to_numeric, errors="coerce")
    if wrong := int((~(values > 0).all(axis=1)).sum()):
        raise StudyError(f"{path} has {wrong} rows that are not positive numbers; {expected}")
    return values.sort_values("loss", ignore_index=True)


def fit_loss(runs: pd.DataFrame, form: str) -> dict[str, float]:
    """Least squares of ln loss for one of FORMS, from several starts, with exponents within RANGE.

    Keys: alpha_X and share_X (of the loss of the best run) for every X of the form, floor; se_X (standard errors of the
    exponents, from the Jacobian); rmse (of ln loss), parameters, runs. Every x is scaled by its geometric mean and all
    unknowns are logarithms, so none can be negative.
    """
    names = FORMS[form]
    if len(runs) <= 2 * len(names) + 3:  # AICc needs more
        raise StudyError(f"{len(runs)} runs are left to fit {2 * len(names) + 1} numbers; drop fewer")
    x = np.log(runs[list(names)].to_numpy())
    x, y = x - x.mean(0), np.log(runs.loss.to_numpy())

    def terms(theta: np.ndarray) -> np.ndarray:
        """(runs, terms), the floor last."""
        scale, alpha = theta[: len(names)], np.exp(theta[len(names) : -1])
        return np.exp(np.column_stack([scale - alpha * x, np.full(len(x), theta[-1])]))

    def residuals(theta: np.ndarray) -> np.ndarray:
        return np.log(terms(theta).sum(1)) - y

    def jacobian(theta: np.ndarray) -> np.ndarray:
        shares = terms(theta)
        shares /= shares.sum(1, keepdims=True)
        powers = -x * np.exp(theta[len(names) : -1]) * shares[:, :-1]
        return np.column_stack([shares[:, :-1], powers, shares[:, -1]])

    lowest, found = y.min(), []
    low = np.concatenate([np.full(len(names), -np.inf), np.full(len(names), np.log(RANGE[0])), [-np.inf]])
    high = np.concatenate([np.full(len(names), lowest + 5), np.full(len(names), np.log(RANGE[1])), [lowest]])
    for alpha, share in STARTS:
        shares = np.log([share] * len(names) + [1 - share * len(names)]) + lowest
        start = np.concatenate([shares[:-1], np.full(len(names), np.log(alpha)), shares[-1:]])
        fit = optimize.least_squares(residuals, start, jacobian, bounds=(low, high), xtol=1e-12, ftol=1e-12)
        found.append(fit)
    best = min(found, key=lambda fit: fit.cost)
    alpha = np.exp(best.x[len(names) : -1])
    freedom = len(y) - len(best.x)
    covariance = np.linalg.pinv(best.jac.T @ best.jac) * 2 * best.cost / freedom
    error = alpha * np.sqrt(np.diag(covariance)[len(names) : -1])  # of ln alpha, by the delta method
    shares = terms(best.x)[y.argmin()]
    result = {"form": form, "runs": len(y), "parameters": len(best.x), "rmse": np.sqrt(2 * best.cost / len(y))}
    for i, name in enumerate(names):
        result |= {f"alpha_{name}": alpha[i], f"se_{name}": error[i], f"share_{name}": shares[i]}
    return result | {"floor": np.exp(best.x[-1])}


def bootstrap_exponents(runs: pd.DataFrame, form: str, settings: DepthSettings) -> pd.DataFrame:
    """Exponents of fits to resampled runs: a row per draw, columns alpha_X."""
    random = np.random.default_rng([settings.seed, len(runs)])
    draws = [
        fit_loss(runs.iloc[random.integers(0, len(runs), len(runs))], form)
        for _ in range(settings.chinchilla_bootstrap)
    ]
    return pd.DataFrame(draws)[[f"alpha_{name}" for name in FORMS[form]]]


def chinchilla_table(runs: pd.DataFrame, settings: DepthSettings) -> pd.DataFrame:
    """Both forms, for every number of dropped runs; a row per exponent.

    Columns: form, dropped, runs, of (what the exponent is of), alpha, se, low, high (percentiles over resampled runs),
    share (of the loss of the best run), floor, parameters, rmse, aicc (of ln loss), correlation (of ln width with ln
    depth).
    """
    rows = []
    for dropped in settings.chinchilla_dropped:
        kept = runs.iloc[: max(0, len(runs) - dropped)]
        correlation = np.corrcoef(np.log(kept.width), np.log(kept.depth))[0, 1]
        for form, names in FORMS.items():
            fit, draws = fit_loss(kept, form), bootstrap_exponents(kept, form, settings)
            n, k = fit["runs"], fit["parameters"] + 1  # one more for the variance
            shared = {key: fit[key] for key in ("form", "runs", "floor", "parameters", "rmse")} | {"dropped": dropped}
            shared |= {"aicc": 2 * n * np.log(fit["rmse"]) + 2 * k * n / (n - k - 1), "correlation": correlation}
            for name in names:
                low, high = intervals.of_draws(draws[f"alpha_{name}"].to_numpy(), settings.confidence)
                own = {"of": name, "alpha": fit[f"alpha_{name}"], "se": fit[f"se_{name}"], "low": low, "high": high}
                rows.append(shared | own | {"share": fit[f"share_{name}"]})
    order = ["form", "dropped", "runs", "of", "alpha", "se", "low", "high", "share", "floor", "parameters", "rmse"]
    return pd.DataFrame(rows)[[*order, "aicc", "correlation"]]
