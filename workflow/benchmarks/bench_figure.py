"""The figure of the benchmark: seven panels, one for each thing that was measured."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rosetta_scaling.report.figures.style import GREY, colour, log_axis, marker, panels, styled

ENGINES = ["known way", "exact", "sketch"]


@styled()
def draw(table: pd.DataFrame, paper: pd.DataFrame, keys: dict) -> Figure:
    """`table` has columns case, engine, x, seconds, peak_mb, budget_mb; `paper` those of paper_scale.costs."""
    figure, axes = panels(7, height=3.1, columns=4)
    _efficiency(axes[0], keys)
    _memory(axes[1], table[table.case == "memory"])
    _against(axes[2], table, "units", "units compared", keys)
    _against(axes[3], table, "neurons", "neurons of each model", keys)
    _against(axes[4], table, "models", "models, all against all, forward passes included", keys)
    _pair(axes[5], table[(table.case == "pair") & table.engine.isin(ENGINES)])
    _paper(axes[6], paper)
    return figure


def _bars(axes, labels: list[str], values, colours) -> None:
    places = np.arange(len(labels))[::-1]
    axes.barh(places, values, color=colours, height=0.6)
    axes.set_yticks(places, labels)
    for place, value in zip(places, values, strict=True):
        axes.text(value, place, f" {value:.3g}", va="center")
    axes.set_xlim(0, max(values) * 1.25)
    axes.grid(axis="y", visible=False)


def _efficiency(axes, keys: dict) -> None:
    rate = keys["gemm_gflops"]
    labels = ["product\nalone", "exact\nengine"]
    _bars(axes, labels, [rate, rate * keys["gemm_efficiency"]], ["0.7", colour(1)])
    axes.set(xlabel="GFLOP/s of float32 products", title=f"The engine reaches {keys['gemm_efficiency']:.0%}")


def _memory(axes, table: pd.DataFrame) -> None:
    for i, (budget, group) in enumerate(table.groupby("budget_mb")):
        axes.plot(group.x, group.peak_mb, marker(i), color=colour(1), label=f"budget {budget:.0f} MB")
        axes.axhline(budget + 300, color=GREY, linestyle="--", linewidth=1)
    log_axis(axes, "x", table.x)
    axes.set(ylim=(0, None), xlabel="neurons of each model", ylabel="peak memory (MB)")
    axes.set_title("Dashed: budget + 300 MB")
    axes.legend(loc="lower right")


def _against(axes, table: pd.DataFrame, case: str, label: str, keys: dict) -> None:
    group = table[table.case == case]
    for engine in ENGINES[1:]:
        part = group[group.engine == engine].sort_values("x")
        i, exponent = ENGINES.index(engine), keys[f"{engine}_{case}_exponent"]
        axes.plot(part.x, part.seconds, marker=marker(i), color=colour(i), label=f"{engine}: slope {exponent:.2f}")
    log_axis(axes, "x", group.x)
    log_axis(axes, "y", group.seconds, smallest=0.1)
    axes.set(xlabel=label, ylabel="seconds", title=f"Time against {case}")
    axes.legend(loc="upper left")


def _pair(axes, table: pd.DataFrame) -> None:
    _bars(axes, list(table.engine), list(table.seconds), [colour(ENGINES.index(engine)) for engine in table.engine])
    axes.set(xlabel="seconds, forward passes included", title="A pair, 100,000 tokens")


def _paper(axes, paper: pd.DataFrame) -> None:
    group = paper[paper.device.str.startswith("H100")]
    places = np.arange(len(group))
    for i, column in ((0, "known_hours"), (2, "sketch_hours")):
        axes.plot(places, group[column], marker=marker(i), color=colour(i), label=ENGINES[i])
    axes.set_xticks(places, [name.split(" / ")[0].replace("Pythia-", "").replace("OPT-", "") for name in group.pair])
    log_axis(axes, "y", [*group.known_hours, *group.sketch_hours], smallest=1e-3)
    axes.set(xlabel="size of the pair", ylabel="hours of one H100", title="The paper's pairs, calculated")
    axes.legend(loc="upper left")
