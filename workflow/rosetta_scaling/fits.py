"""Power laws of every curve, criterion and quantity, against every notion of size. The model is the replicate."""

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.config import MINIMUM_RUNGS, NULLS
from rosetta_scaling.estimators import fit_power_law

ABSCISSAE = ("neurons", "parameters", "non_embedding_parameters", "hidden_size", "training_flops")
QUANTITIES = ("count", "excess", *(f"null_{null}" for null in (*NULLS, "iid")))
QUANTITIES += ("calibrated_05", "calibrated_01", "equal_n_count", "equal_n_null")
COLUMNS = ("alpha", "low", "high", "c", "r2", "geometric", "p_sublinear")


def fit_counts(counts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Fits of every curve and criterion and each of QUANTITIES, against each of ABSCISSAE.

    Points where the quantity is zero cannot enter a logarithm: they are left out and the note says so. `geometric` is
    the exponent of the number of neurons against x, which is that of a constant share; `p_sublinear`: one-sided p that
    the share of the quantity among all neurons does not fall with x.
    """
    rows = []
    for (curve, criterion), part in counts.groupby(["curve", "criterion"], sort=False):
        for quantity in QUANTITIES:
            positive = part[part[quantity] > 0]
            dropped = len(part) - len(positive)
            note = f"{dropped} of {len(part)} points left out: {quantity} is not positive" if dropped else ""
            for x in ABSCISSAE:
                fit = dict.fromkeys(COLUMNS, np.nan) | {"points": len(positive)}
                reason = note
                if positive[x].isna().any():
                    reason = "; ".join(filter(None, [note, f"{x} is not known for every network"]))
                elif len(positive) >= MINIMUM_RUNGS:
                    fit |= fit_power_law(positive[x], positive[quantity], confidence)
                    fit |= against_constant_share(positive[x], positive.neurons, positive[quantity])
                rows.append(
                    {"curve": curve, "criterion": criterion, "quantity": quantity, "x": x, **fit, "note": reason}
                )
    return pd.DataFrame(rows)


def against_constant_share(x: pd.Series, neurons: pd.Series, y: pd.Series) -> dict[str, float]:
    """Exponent of a constant share of all neurons, and one-sided p that the share y / neurons does not fall with x."""
    share = stats.linregress(np.log(x), np.log(y / neurons), alternative="less")
    return {"geometric": stats.linregress(np.log(x), np.log(neurons)).slope, "p_sublinear": share.pvalue}
