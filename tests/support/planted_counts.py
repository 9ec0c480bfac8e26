"""Counts of a small study whose fits are known."""

import numpy as np
import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.parsing import load, parse
from rosetta_scaling.schemas.nulls import NULLS

TOP1, HALF = "mutual_top1", "mutual_top1_r0.5"
NEURONS = 192 * 2.0 ** np.arange(5)
SCATTER = np.array([1.1, 0.92, 0.97, 1.06, 0.98])
COUNT = np.round(30 * (NEURONS / 192) ** 0.7 * SCATTER)  # 33, 45, 77, 136, 205
CURVES = {"neox-bloom": ["neox", "bloom"], "llama-neox": ["llama", "neox"], "all": ["neox", "bloom", "llama"]}
T3 = 3.182446305284263  # 97.5% quantile of Student's t with 3 degrees of freedom, from a printed table
NO_SEEDS = pd.DataFrame(columns=["architectures", "point", "criterion", "curves", "replicates", "mean", "deviation"])


def a_study(**sections):
    """The smoke study with five rungs and these curves; sections are merged into it."""
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    size = {"hidden_size": 8, "layers": 1, "heads": 2, "learning_rate": 0.01}
    values["ladder"]["rungs"] = {f"r{i}": size for i in range(1, 6)}
    values |= {"curves": CURVES, "theory": {"betas": [2.0], "sizes": [64, 128, 256], "runs": 1, "inputs": 500}}
    values["matching"]["criteria"] = [{}, {"min_r": 0.5}]
    for name, section in sections.items():
        values[name] = values[name] | section if name != "curves" else section
    return parse(values)


def counts_of(count, curve="neox-bloom", criterion=TOP1, neurons=None, **columns) -> pd.DataFrame:
    """The rows of a curve in counts.csv; nulls are 1 in every draw, where `columns` says nothing else."""
    count = np.asarray(count, float)
    neurons = NEURONS[: len(count)] if neurons is None else np.asarray(neurons, float)
    points = [f"r{i + 1}" for i in range(len(count))]
    table = pd.DataFrame({"curve": curve, "point": points, "criterion": criterion, "count": count, "neurons": neurons})
    table["models"] = [" ".join(f"{family}-{point}" for family in CURVES[curve]) for point in points]
    table = table.assign(parameters=neurons**2, non_embedding_parameters=neurons**1.5 + 900, hidden_size=neurons**0.5)
    table = table.assign(training_flops=6e6 * neurons**1.5, anchor_neurons=neurons.astype(int), null_iid=neurons / 2)
    nulls = {f"null_{null}{end}": 1.0 for null in NULLS for end in ("", "_low", "_high")}
    table = table.assign(**nulls, count_low=0.9 * count, count_high=1.1 * count, calibrated_01=0)
    table = table.assign(calibrated_05=0, beyond_decoys=0.0, corrected=0.0, equal_n_count=9.0, equal_n_null=3.0).assign(
        **columns
    )
    return table.assign(excess=table["count"] - table[[f"null_{null}" for null in NULLS]].max(axis=1))


def line(x, y) -> tuple[float, float, float]:
    """Slope, its standard error and the standard deviation of the residuals of ln y on ln x, from the textbook."""
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    spread = ((u - u.mean()) ** 2).sum()
    slope = ((u - u.mean()) * (v - v.mean())).sum() / spread
    sd = np.sqrt(((v - v.mean() - slope * (u - u.mean())) ** 2).sum() / (len(u) - 2))
    return slope, sd / np.sqrt(spread), sd


def only(table: pd.DataFrame, **values) -> pd.Series:
    """The one row with these values."""
    for name, value in values.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]
