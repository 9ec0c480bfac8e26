"""Tables of the companion study of mixtures: means with bootstrap intervals over seeds, and the closed forms."""

import numpy as np
import pandas as pd

from rosetta_scaling.companions.mixture.intervals import bootstrap, by_width, crossing, rank_correlation, summarise
from rosetta_scaling.companions.mixture.laws import exponents_table, law_table
from rosetta_scaling.companions.mixture.networks import Mixture
from rosetta_scaling.config.companions.mixture import MixtureSettings

TABLES = (
    *("optimum", "losses", "retention", "injection", "gaps", "trends"),
    *("relu", "allocation", "rosetta", "counts", "critical", "law", "exponents"),
)


def make_tables(settings: MixtureSettings, steps: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """All of TABLES, from the tables of the jobs: population, retention, injection, allocation, rosetta."""
    injection = injection_table(steps["injection"], settings)
    rosetta = rosetta_table(steps["rosetta"], settings)
    counts = counts_table(steps["rosetta"], settings)
    tables = {
        "optimum": optimum_table(steps["population"], settings),
        "losses": losses_table(steps["population"], settings),
        "retention": summarise(
            steps["retention"], ["width", "moment"], ["rare_loss", "common_loss", "energy", "gradient"], settings
        ),
        "injection": injection,
        "gaps": gaps_table(steps["injection"], settings),
        "trends": trends_table(steps["retention"], steps["injection"], settings),
        "relu": relu_table(steps["allocation"], steps["rosetta"], settings),
        "allocation": allocation_table(steps["allocation"], settings),
        "rosetta": rosetta,
        "counts": counts,
        "critical": critical_table(steps["rosetta"], settings),
        "law": law_table(settings),
        "exponents": exponents_table(counts, settings),
    }
    return {name: tables[name] for name in TABLES}


# -- linear networks ---------------------------------------------------------------------------------------------------


def optimum_table(population: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """One row per width of linear networks trained on the population loss.

        width, optimum       L*(N)
        loss                 after training
        excess               loss minus optimum, as a share of the optimum (of the smallest utility where that is 0)
        kept_utility         mean energy, in the span of the encoder, of the features with the largest utilities
        kept_frequency       the same for as many features of the most frequent tasks
        gap                  see Mixture.gap
        told_apart           whether these are different features and their utilities are no tie

    loss, excess, kept_utility and kept_frequency have intervals.
    """
    mixture = Mixture.of(settings.tasks)
    frequency = mixture.frequencies[population.task - 1]
    rows = []
    for (width, seed), part in population.assign(weighed=frequency * population.loss).groupby(["width", "seed"]):
        place = part.task - 1, part.feature - 1
        row = {"width": width, "seed": seed} | with_excess(part.weighed.sum(), width, mixture)
        for name, kept in (("utility", mixture.kept(width)), ("frequency", mixture.kept_by_frequency(width))):
            row[f"kept_{name}"] = part.energy[kept[place]].mean()
        rows.append(row)
    table = summarise(pd.DataFrame(rows), ["width"], ["loss", "excess", "kept_utility", "kept_frequency"], settings)
    table.insert(1, "optimum", table.width.map(mixture.optimum))
    table["gap"] = table.width.map(mixture.gap)
    differ = [(mixture.kept(width) != mixture.kept_by_frequency(width)).any() for width in table.width]
    return table.assign(told_apart=np.array(differ) & (table.gap > settings.tasks.tie))


def with_excess(loss: float, width: int, mixture: Mixture) -> dict[str, float]:
    """A loss, and its excess over the optimum as a share of it (of the smallest utility where the optimum is 0)."""
    optimum = mixture.optimum(width)
    unit = optimum if width < mixture.spectra.size else mixture.utilities.min()
    return {"loss": loss, "excess": (loss - optimum) / unit}


def losses_table(population: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Losses of linear networks by task: width, task, loss with its interval, optimum."""
    sums = population.groupby(["width", "task", "seed"], as_index=False).loss.sum()
    return with_optimum(summarise(sums, ["width", "task"], ["loss"], settings), settings)


def with_optimum(table: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """The table with columns optimum, ell_k of the optimal network, and kept, its number of features of the task."""
    mixture = Mixture.of(settings.tasks)
    pairs = list(zip(table.width, table.task - 1, strict=True))
    return table.assign(
        optimum=[mixture.task_optimum(width)[task] for width, task in pairs],
        kept=[mixture.kept(width)[task].sum() for width, task in pairs],
    )


def injection_table(injection: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Means of retention.injection, with the columns of with_chance, by width and gap."""
    columns = ["loss", "before", "after", "swing", "cosine", "spread", "beyond_chance", "at_injection"]
    table = summarise(with_chance(injection, settings), ["width", "gap"], columns, settings)
    return with_chance(table, settings)


def with_chance(injection: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """The table with the columns

    swing          loss before minus loss after an injection
    chance         root mean square cosine of the rare task's gradient by the encoder with random directions
    beyond_chance  spread divided by chance
    """
    chance = (injection.width * settings.tasks.inputs) ** -0.5
    swing = injection.before - injection.after
    return injection.assign(swing=swing, chance=chance, beyond_chance=injection.spread / chance)


def gaps_table(injection: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Rare loss at the largest gap minus that at the smallest, from the same start: width, effect, interval."""
    gaps = settings.injection.gaps
    loss = injection.pivot_table(values="loss", index=["width", "seed"], columns="gap")
    effect = (loss[max(gaps)] - loss[min(gaps)]).rename("effect").reset_index()
    return summarise(effect, ["width"], ["effect"], settings)


def trends_table(retention: pd.DataFrame, injection: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Rank correlations with width: quantity, gap (0: none), value, low, high."""
    burst, end = (retention[retention.moment == moment] for moment in ("burst", "end"))
    asked = [("rare_loss", 0, end), ("gradient", 0, burst)]
    for gap, part in with_chance(injection, settings).groupby("gap"):
        asked += [(name, gap, part) for name in ("swing", "spread", "beyond_chance")]
    rows = []
    for quantity, gap, part in asked:
        values = by_width(part, quantity)
        found = bootstrap(values, rank_correlation(sorted(part.width.unique())), settings)
        rows.append({"quantity": quantity, "gap": gap} | dict(zip(("value", "low", "high"), found, strict=True)))
    return pd.DataFrame(rows)


# -- ReLU networks -----------------------------------------------------------------------------------------------------


def relu_table(allocation: pd.DataFrame, rosetta: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """One row per width of networks with ReLU, as optimum_table: width, optimum, loss, excess, useful, frequent, tied.

    useful and frequent come from rosetta.rosetta_table. Their replicates are sets; those of losses are networks.
    """
    mixture, rows = Mixture.of(settings.tasks), []
    weighed = allocation.assign(loss=mixture.frequencies[allocation.task - 1] * allocation.loss)
    for (width, network), loss in weighed.groupby(["width", "network"]).loss.sum().items():
        rows.append({"width": width, "network": network} | with_excess(loss, width, mixture))
    own = sets_of(rosetta[(rosetta.kind == "trained") & (rosetta.task == 1)], settings)
    found = summarise(own, ["width"], ["useful", "frequent"], settings)
    table = summarise(pd.DataFrame(rows), ["width"], ["loss", "excess"], settings).merge(found, on="width")
    table.insert(1, "optimum", table.width.map(mixture.optimum))
    return table.assign(tied=table.width.map(mixture.gap) <= settings.tasks.tie)


def allocation_table(allocation: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Means of rosetta.allocation_table by width and task, with the optimum (see with_optimum)."""
    table = summarise(allocation, ["width", "task"], ["loss", "neurons", "purity"], settings)
    return with_optimum(table, settings)


def rosetta_table(rosetta: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Means over sets of rosetta.rosetta_table by width, kind and task.

    recovered and rosetta have intervals. `together` is the share of features that are Rosetta among all networks at
    once, `predicted` the share of the task's features that the optimal network has.
    """
    keys = ["width", "kind", "task"]
    table = summarise(sets_of(rosetta, settings), keys, ["recovered", "rosetta"], settings)
    together = rosetta[rosetta.set == settings.relu.sets].set_index(keys).rosetta
    table["together"] = together.reindex(pd.MultiIndex.from_frame(table[keys])).to_numpy()
    return table.assign(predicted=with_optimum(table, settings).kept / settings.tasks.features)


def sets_of(rosetta: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Rows of the independent sets."""
    return rosetta[rosetta.set < settings.relu.sets]


def counts_table(rosetta: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Rosetta neurons and copies inside a network, by width and kind, with intervals over sets."""
    one = sets_of(rosetta, settings)
    return summarise(one[one.task == 1], ["width", "kind"], ["neurons", "copies"], settings)


def critical_table(rosetta: pd.DataFrame, settings: MixtureSettings) -> pd.DataFrame:
    """Critical widths of every task, predicted and measured.

        task, frequency, decay
        first, whole     smallest width that keeps the first feature, and all features, in closed form
        predicted        width at which half of its features are kept, between the widths of the study (see crossing)
        recovered        the same for features for which networks have neurons, mean over networks
        rosetta          the same for features that are Rosetta
        ratio            rosetta divided by predicted

    recovered, rosetta and ratio have intervals over sets.
    """
    mixture, rows = Mixture.of(settings.tasks), []
    widths = np.array(settings.relu.widths, float)
    first, whole = mixture.critical_widths()
    kept = np.stack([mixture.kept(width).mean(1) for width in settings.relu.widths], 1)
    own = sets_of(rosetta[rosetta.kind == "trained"], settings)
    for task, predicted in enumerate(crossing(widths, kept)):
        row = {"task": task + 1, "frequency": mixture.frequencies[task]}
        row |= {"decay": settings.tasks.decays[task % len(settings.tasks.decays)]}
        row |= {"first": first[task], "whole": whole[task], "predicted": predicted}
        for name in ("recovered", "rosetta"):
            values = by_width(own[own.task == task + 1].sort_values("set"), name)
            found = np.array(bootstrap(values, lambda of: crossing(widths, of.mean(-1)), settings))
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))
        row |= dict(zip(("ratio", "ratio_low", "ratio_high"), found / predicted, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)
