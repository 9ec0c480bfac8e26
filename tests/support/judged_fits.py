"""Claims about fits by their first words, and how they are judged on rows made by hand."""

import numpy as np
import pandas as pd
from planted_counts import TOP1, counts_of

from rosetta_scaling.claims.fits import judge_fits
from rosetta_scaling.claims.verdicts import Claim

BEST = "A power law describes the count better than other forms"
PREDICTS = "The smaller networks predict the count of the largest"
ROBUST = "The exponent of the count does not depend on the estimator"
ONE = "One exponent holds for all curves"
ISOLATION = "The mean isolation of Rosetta neurons grows as the number of neurons to the power 1 - alpha"
RANKS = "Counts over sizes and correlations within a size give the same beta"
SIMULATED = "Networks that obey the theory have counts that grow with exponent 1 / beta"
COLUMNS = {
    "rivals": ["curve", "quantity", "form", "aicc", "left_out", "largest"],
    "estimators": ["curve", "quantity", "estimator", "alpha", "agrees", "points"],
    "fits": ["curve", "quantity", "x", "p_sublinear"],
    "pooled": ["quantity", "without", "curves", "alpha", "low", "high", "between_sd", "p_same"],
    "theory": ["curve", "kind", "quantity", "value", "low", "high"],
    "isolation": ["curve", "point", "kind", "matches", "isolation"],
    "theory_exponents": ["beta", "quantity", "alpha", "low", "high", "expected"],
    "theory_simulation": ["beta", "rank_slope"],
}


EXACT = counts_of([10, 20, 40], null_untrained=0.0)  # above all nulls, which are 1
DROWNED = counts_of([10, 20, 40], null_rotate=[11.0, 19.0, 44.0])


def judged(claim: str, curves=("a",), counts=EXACT, **rows) -> Claim:
    """The claim as it is judged on these rows, a list of tuples by table; the curves have rows in fits at least."""
    rows.setdefault("fits", [(curve, "null_shift", "neurons", np.nan) for curve in curves])
    tables = {name: pd.DataFrame(rows.get(name, []), columns=columns) for name, columns in COLUMNS.items()}
    for name, table in tables.items():
        if name not in ("theory_exponents", "theory_simulation"):
            table["criterion"] = TOP1
    found = judge_fits(tables | {"counts": counts}, [TOP1])
    assert all(one.as_json()["fit"] for one in found)
    assert [one.words for one in found if one.main] == [ISOLATION]
    assert len(found) == 7
    (one,) = [one for one in found if one.words in (claim, f"{claim} ({TOP1})")]
    return one
