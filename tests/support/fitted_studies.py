"""A small study, all of whose fits are made as the workflow makes them."""

import contextlib

import numpy as np
import pandas as pd
from planted_counts import COUNT, CURVES, HALF, NEURONS, NO_SEEDS, SCATTER, TOP1, counts_of

from rosetta_scaling.fits.theory.simulation import simulate
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.schemas.names import FIT_TABLES
from rosetta_scaling.stages.fits import write_fits
from rosetta_scaling.store.tables import read_table, write_json, write_table


def isolation_of(counts: pd.DataFrame) -> pd.DataFrame:
    """Matches whose isolation nearly obeys the theory; those of one null do not, and one null has none."""
    real = counts[["curve", "point", "criterion"]].assign(kind="real", matches=counts["count"], rank_slope=1.4)
    wobble = np.resize([1.01, 0.99, 1.0, 1.005, 0.995], len(counts))
    found = [real.assign(isolation=(counts.neurons / counts["count"].where(counts["count"] > 0)) * wobble)]
    found.append(
        real.assign(kind="rotate", isolation=0.3 * counts.neurons * wobble, matches=counts.neurons * SCATTER[0])
    )
    found.append(real.assign(kind="untrained", isolation=np.nan, matches=0, rank_slope=np.nan))
    table = pd.concat(found, ignore_index=True)
    return table.assign(isolation_low=table.isolation, isolation_high=table.isolation)


def snapshots_of(counts: pd.DataFrame) -> pd.DataFrame:
    rows = counts[["curve", "point", "criterion", "count"]]
    rows = pd.concat(
        [rows.assign(units=200, count=rows["count"] // 2), rows.assign(units=400), rows.assign(units=4000)]
    )
    return rows.assign(low=np.nan, high=np.nan, extrapolated=rows.units == 4000)


def models_of(study) -> pd.DataFrame:
    names = [(f, r) for f in study.families for r in study.rungs_of(f)]
    table = pd.DataFrame({"model": [f"{f}-{r}" for f, r in names], "sha256": [f"{f}{r}sha" for f, r in names]})
    return table.assign(seed=[study.families[f].seed for f, _ in names], training_tokens=30_000)


def fitted(folder, study, counts: pd.DataFrame, **tables) -> dict[str, pd.DataFrame]:
    """Write the tables that fits are made from, and make all fits; returns the FIT_TABLES, counts and isolation."""
    with contextlib.chdir(folder):
        layout = Layout(study, corpus_key="k")
        made = {"counts": counts, "seeds": NO_SEEDS, "isolation": isolation_of(counts), "models": models_of(study)}
        made |= {"snapshots": snapshots_of(counts)} | tables
        for name, table in made.items():
            write_table(f"tables/{name}.csv", table)
        write_json(f"{layout.corpus_dir}/manifest.json", {"sha256": "c" * 64})
        write_table(layout.units("study"), pd.DataFrame({"unit": range(400)}))
        write_table(layout.simulations[0], simulate(2.0, [64, 128, 256], 1, 500))
        write_fits(layout, folder / "tables")
    return fitted_tables(folder)


def small_counts() -> pd.DataFrame:
    """Three curves by two criteria; the calibrated count is always zero, one curve has a zero, and no excess there."""
    tables = []
    for criterion, factor in ((TOP1, 1.0), (HALF, 0.4)):
        for i, curve in enumerate(CURVES):
            count = np.round(factor * COUNT * np.roll(SCATTER, i))
            tables.append(counts_of(count, curve, criterion, null_rotate=np.round(0.3 * NEURONS**0.6)))
    table = pd.concat(tables, ignore_index=True)
    zero = (table.curve == "all") & (table.criterion == HALF) & (table.point == "r1")
    table.loc[zero, ["count", "count_low", "count_high", "excess"]] = 0.0, 0.0, 0.0, -7.0
    return table


def fitted_tables(folder) -> dict[str, pd.DataFrame]:
    """What `fitted` wrote to a folder."""
    return {name: read_table(folder / f"tables/{name}.csv") for name in (*FIT_TABLES, "counts", "isolation")}
