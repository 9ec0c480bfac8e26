"""Power laws of every curve, criterion and quantity, against every notion of size. The model is the replicate."""

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.power_laws.estimators import fit_power_law, ols
from rosetta_scaling.schemas.nulls import NULLS

ABSCISSAE = ("neurons", "parameters", "non_embedding_parameters", "hidden_size", "training_flops")
QUANTITIES = ("count", "excess", *(f"null_{null}" for null in (*NULLS, "iid")))
QUANTITIES += ("calibrated_05", "calibrated_01", "beyond_decoys", "corrected", "equal_n_count", "equal_n_null")
COLUMNS = ("alpha", "low", "high", "c", "r2", "geometric", "p_sublinear")


def fit_counts(counts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Fits of every curve and criterion and each of QUANTITIES, against each of ABSCISSAE.

    Points where the quantity is zero have no logarithm: they are left out and the note says so. `geometric` is
    the exponent of the number of neurons against x, which is that of a constant share; `p_sublinear`: one-sided p that
    the share of the quantity among all neurons does not fall with x. Points that lie exactly on a line have neither an
    interval nor a p, since these come from the scatter of the points. Criteria without a corrected count have no row of
    it: it is worked out for the primary one.
    """
    rows = []
    for (curve, criterion), part in counts.groupby(["curve", "criterion"], sort=False):
        for quantity in QUANTITIES:
            if quantity == "corrected" and part[quantity].isna().all():
                continue
            positive = part[part[quantity] > 0]
            dropped, unknown = len(part) - len(positive), " or not known" if part[quantity].isna().any() else ""
            left_out = f"{dropped} of {len(part)} points left out: {quantity} is not positive{unknown}"
            for x in ABSCISSAE:
                fit = {"curve": curve, "criterion": criterion, "quantity": quantity, "x": x, "points": len(positive)}
                found = one_fit(positive[x], positive.neurons, positive[quantity], confidence)
                note = "; ".join(filter(None, [left_out if dropped else "", found["note"]]))
                rows.append(fit | found | {"note": note})
    return pd.DataFrame(rows)


def one_fit(x: pd.Series, neurons: pd.Series, y: pd.Series, confidence: float) -> dict:
    """The fit of y (points,), all positive, against the sizes x; where there is none, the note says why."""
    missing = dict.fromkeys(COLUMNS, np.nan) | {"note": ""}
    if x.isna().any():
        return missing | {"note": f"{x.name} is not known for every network"}
    if len(x) < MINIMUM_RUNGS:
        return missing  # as many points as there are say so
    if x.nunique() < 2:
        return missing | {"note": f"{x.name} is the same at every point"}
    found = fit_power_law(x, y, confidence) | against_constant_share(x, neurons, y)
    line = ols(x, y, confidence)
    if not np.isfinite(line["c"]):
        return missing | {"note": line["note"]}
    if note := line["note"]:
        found |= {"low": np.nan, "high": np.nan, "p_sublinear": np.nan}
    return {name: found[name] for name in COLUMNS} | {"note": note}


def against_constant_share(x: pd.Series, neurons: pd.Series, y: pd.Series) -> dict[str, float]:
    """Exponent of a constant share of all neurons, and one-sided p that the share y / neurons does not fall with x."""
    share = stats.linregress(np.log(x), np.log(y / neurons), alternative="less")
    return {"geometric": stats.linregress(np.log(x), np.log(neurons)).slope, "p_sublinear": share.pvalue}
