"""All figures of a study, in the order in which they are drawn.

Every module of this folder describes its own figures in FIGURES. To add one, write its `draw_*` and its entry there,
and its caption in workflow/report/captions.
"""

from pathlib import Path

from rosetta_scaling.report.figures import counts, fits, layers, selectivity, style, theory, training
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.store.tables import read_table

FIGURES: dict[str, FigureEntry] = {
    entry.name: entry for module in (counts, selectivity, layers, training, fits, theory) for entry in module.FIGURES
}


def tables_of_figures() -> list[str]:
    """Names of all tables that figures are drawn from."""
    return list(dict.fromkeys(table for entry in FIGURES.values() for table in entry.tables))


def make_figures(tables_dir: str | Path, figures_dir: str | Path) -> None:
    """Draw every figure from the csv tables in `tables_dir`: NAME.svg, NAME.png and NAME.csv in `figures_dir`."""
    tables = {name: read_table(Path(tables_dir) / f"{name}.csv") for name in tables_of_figures()}
    for name, entry in FIGURES.items():
        rows = entry.rows(tables)
        style.save_figure(entry.draw(rows), rows, Path(figures_dir) / name)
