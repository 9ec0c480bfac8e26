"""Tables of the filtering study, from what its jobs wrote.

The replicate of a choice by neurons is the network, of a choice by text the draw of labels, and of a loss the network
that was trained further.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from rosetta_scaling.companions.filtering.arms import ALL_DATA, ARMS, NEURONS, START
from rosetta_scaling.companions.filtering.pools import LABEL, POOL, PROBE, TEST
from rosetta_scaling.companions.filtering.selection import budget_of
from rosetta_scaling.config.companions.filtering import FilteringSettings
from rosetta_scaling.numerics import intervals
from rosetta_scaling.numerics.intervals import Estimate
from rosetta_scaling.store.tables import read_table

NETWORK = ["curve", "rung"]
OTHERS, MATCHED, CLASSIFIER, NAG, SIZE = "others", "matched", "classifier", "nag", "size"  # comparisons


def read_jobs(jobs: Path, settings: FilteringSettings) -> dict[str, pd.DataFrame]:
    """What all jobs wrote, put together: pools, scores, chosen_neurons and runs, each with its task and network."""
    made: dict[str, list[pd.DataFrame]] = {"scores": [], "chosen_neurons": [], "runs": [], "pools": []}
    for task in settings.tasks:
        folder = jobs / task
        made["pools"].append(read_table(folder / "pool.parquet").assign(task=task))
        made["runs"].append(read_table(folder / "runs.parquet").assign(task=task))
        made["scores"].append(read_table(folder / "text/scores.parquet").assign(task=task, curve="", rung=""))
        for table, name in (("scores", "scores"), ("chosen_neurons", "neurons")):
            for file in sorted((folder / "neurons").glob(f"*/*/{name}.parquet")):
                curve, rung = file.parent.parts[-2:]
                made[table].append(read_table(file).assign(task=task, curve=curve, rung=rung))
    return {name: pd.concat(tables, ignore_index=True) for name, tables in made.items()}


def summarise(found: Mapping[str, pd.DataFrame], settings: FilteringSettings) -> dict[str, pd.DataFrame]:
    """All tables of the study by name, from those of `read_jobs`."""
    scores = found["scores"]
    training = training_table(found["runs"], settings)
    return {
        "pools": pool_table(found["pools"]),
        "arms": arm_table(scores, training, settings),
        "selection": selection_table(scores, settings),
        "chosen_neurons": found["chosen_neurons"],
        "training": training,
        "contrasts": contrast_table(scores, found["chosen_neurons"], settings),
        "scores": scores,
        "runs": found["runs"],
    }


def mean_of(values: pd.Series, confidence: float) -> Estimate:
    """Mean and Student's interval of replicates; no interval of a single one, none of width where all are equal."""
    known = values.dropna().to_numpy(float)
    if len(known) < 2:
        return Estimate(known.mean() if len(known) else np.nan, np.nan, np.nan)
    return Estimate(float(known.mean()), *map(float, intervals.of_mean(known, confidence)))


def pool_table(pools: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for task, table in pools.groupby("task", sort=False):
        pool, of_target = table[table.role == POOL], table[table.target]
        rows.append(
            {
                "task": task,
                "documents": len(pool),
                "targets": int(pool.target.sum()),
                "tokens": int(pool.tokens.sum()),
                "budget": budget_of(table),
                "known": int((of_target.role == PROBE).sum()),
                "labels": int((of_target.role == LABEL).sum()),
                "test_bytes": int(of_target.bytes[of_target.role == TEST].sum()),
            }
        )
    return pd.DataFrame(rows)


# -- choices -----------------------------------------------------------------------------------------------------------


def by_replicate(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean scores of every replicate of a choice: a network where neurons choose, and else a draw of labels."""
    looks = scores.arm.map({name: arm.looks for name, arm in ARMS.items()})
    replicate = np.where(looks == NEURONS, scores.curve + "/" + scores.rung, scores.seed.astype(str))
    keys = ["task", "arm", "labels", "rung", "replicate"]
    return scores.assign(replicate=replicate).groupby(keys, sort=False)[["f1", "auprc", "seconds"]].mean().reset_index()


def selection_table(scores: pd.DataFrame, settings: FilteringSettings) -> pd.DataFrame:
    rows = []
    for keys, part in by_replicate(scores).groupby(["task", "arm", "labels", "rung"], sort=False):
        rows.append(dict(zip(("task", "arm", "labels", "rung"), keys, strict=True)) | _means(part, settings.confidence))
    return pd.DataFrame(rows)


def _means(part: pd.DataFrame, confidence: float) -> dict[str, float]:
    found = mean_of(part.f1, confidence).columns("f1")
    return found | {"auprc": float(part.auprc.mean()), "seconds": float(part.seconds.mean())}


def arm_table(scores: pd.DataFrame, training: pd.DataFrame, settings: FilteringSettings) -> pd.DataFrame:
    """One row per arm, with as many labels as networks are trained with; intervals of F1 are over tasks."""
    rows = []
    shown = scores[scores.labels == scores.arm.map(lambda name: settings.training_labels if ARMS[name].labels else 0)]
    of_task = by_replicate(shown).groupby(["task", "arm"], sort=False)[["f1", "auprc", "seconds"]].mean().reset_index()
    start = training[training.arm == START].set_index("task").other_bits
    after = training.assign(gain=1 - training.lost, other=training.other_bits - training.task.map(start))
    after = after.groupby(["arm", "learning_rate"])[["gain", "other"]].mean()
    for name, arm in ARMS.items():
        row = {"arm": name, "label": arm.label, "looks": arm.looks, "learns": arm.labels, "cost": arm.cost}
        row |= {"labels": settings.training_labels if arm.labels else 0}
        rows.append(row | _means(of_task[of_task.arm == name], settings.confidence) | _trained(after, name, settings))
    row = {"arm": ALL_DATA, "label": "all data, same compute", "looks": "nothing", "learns": False, "cost": "nothing"}
    unknown = dict.fromkeys(("f1", "f1_low", "f1_high", "auprc", "seconds"), np.nan)
    rows.append(row | {"labels": 0} | unknown | _trained(after, ALL_DATA, settings))
    return pd.DataFrame(rows)


def _trained(after: pd.DataFrame, arm: str, settings: FilteringSettings) -> dict[str, float]:
    """Share of the oracle's gain, and change of the loss on other text, at the lower and the higher learning rate."""
    rates = dict(zip(("low", "high"), sorted(settings.learning_rates), strict=True))
    known = {name: after.loc[(arm, rate)] if (arm, rate) in after.index else None for name, rate in rates.items()}
    return {
        f"{column}_{name}_rate": np.nan if row is None else float(row[column])
        for column in ("gain", "other")
        for name, row in known.items()
    }


# -- comparisons -------------------------------------------------------------------------------------------------------


def contrast_table(scores: pd.DataFrame, chosen: pd.DataFrame, settings: FilteringSettings) -> pd.DataFrame:
    """Differences of F1 between arms, by task; and as `size` the slope of F1 of the Rosetta neuron on log10 neurons."""
    rows = []
    neurons = chosen.groupby(["task", *NETWORK])["size"].sum()
    for task, part in scores.groupby("task", sort=False):
        f1 = {arm: _by_network(part, arm, settings) for arm in set(part.arm)}
        own = f1.get("rosetta_neuron", pd.Series(dtype=float))
        pairs = {
            OTHERS: (own, f1.get("other_neuron")),
            MATCHED: (own, f1.get("matched_neuron")),
            NAG: (f1.get("nag_rosetta"), f1.get("nag_others")),
        }
        for name, (one, other) in pairs.items():
            if one is not None and other is not None:
                difference = (one - other).dropna()
                rows.append((name, task, *mean_of(difference, settings.confidence), len(difference)))
        rows.append((CLASSIFIER, task, *_against_draws(own, _draws(part, settings), settings.confidence), len(own)))
        rows.append((SIZE, task, *_slope(own, neurons.loc[task], settings.confidence), len(own)))
    return pd.DataFrame(rows, columns=["comparison", "task", "difference", "low", "high", "networks"])


def _by_network(scores: pd.DataFrame, arm: str, settings: FilteringSettings) -> pd.Series:
    """Mean F1 of an arm by curve and size, with as many labels as networks are trained with."""
    labels = settings.training_labels if ARMS[arm].labels else 0
    return scores[(scores.arm == arm) & (scores.labels == labels)].groupby(NETWORK).f1.mean()


def _draws(scores: pd.DataFrame, settings: FilteringSettings) -> pd.Series:
    """F1 of the classifier for every draw of `training_labels` documents."""
    return scores.f1[(scores.arm == "classifier") & (scores.labels == settings.training_labels)]


def _against_draws(networks: pd.Series, draws: pd.Series, confidence: float) -> Estimate:
    """Mean over networks less mean over draws, with Welch's interval."""
    difference = networks.mean() - draws.mean()
    if min(len(networks), len(draws)) < 2:
        return Estimate(difference, np.nan, np.nan)
    if networks.var() + draws.var() == 0:
        return Estimate(difference, difference, difference)
    found = stats.ttest_ind(networks, draws, equal_var=False).confidence_interval(confidence)
    return Estimate(difference, float(found.low), float(found.high))


def _slope(f1: pd.Series, neurons: pd.Series, confidence: float) -> Estimate:
    """Slope of F1 on log10 of the number of neurons, with its interval."""
    x = np.log10(neurons.reindex(f1.index).to_numpy(float))
    if len(np.unique(x)) < 2 or len(x) < 3:
        return Estimate.unknown()
    found = stats.linregress(x, f1.to_numpy())
    half = stats.t.ppf((1 + confidence) / 2, len(x) - 2) * found.stderr
    return Estimate(found.slope, found.slope - half, found.slope + half)


# -- training ----------------------------------------------------------------------------------------------------------


def training_table(runs: pd.DataFrame, settings: FilteringSettings) -> pd.DataFrame:
    """Losses by task, arm and learning rate, and the share of the oracle's gain over random text that is lost.

    Seeds are paired: networks of one seed read their text in one order. Without a gain, the share is not known.
    """
    rows = []
    for (task, share), part in runs[runs.arm != START].groupby(["task", "learning_rate"], sort=False):
        loss = part.set_index(["seed", "arm"]).target_bits.unstack("arm")  # noqa: PD010
        gain = loss["random"].mean() - loss["oracle"].mean()
        for arm in [name for name in (*ARMS, ALL_DATA) if name in loss]:
            lost = (loss[arm] - loss["oracle"]) / (gain if gain > 0 else np.nan)
            target = mean_of(loss[arm], settings.confidence)
            row = {"task": task, "arm": arm, "learning_rate": share, "target_bits": target.value}
            row |= {"target_low": target.low, "target_high": target.high}
            row |= {"other_bits": float(part.other_bits[part.arm == arm].mean())}
            rows.append(row | mean_of(lost, settings.confidence).columns("lost"))
    start = runs[runs.arm == START][["task", "arm", "learning_rate", "target_bits", "other_bits"]]
    return pd.concat([start, pd.DataFrame(rows)], ignore_index=True)
