"""All figures of a study, in the order in which they are drawn.

Every module of this folder describes its own figures in FIGURES. To add one, write its `draw_*` and its entry there,
and its caption in workflow/report/captions.
"""

from pathlib import Path

import pandas as pd

from rosetta_scaling.report.claims import main_claims_frame, read_claims
from rosetta_scaling.report.figures import answer, counts, fits, layers, selectivity, style, theory, training
from rosetta_scaling.report.figures.entry import FigureEntry
from rosetta_scaling.store.tables import read_table

MODULES = (answer, counts, selectivity, layers, training, fits, theory)
FIGURES: dict[str, FigureEntry] = {entry.name: entry for module in MODULES for entry in module.FIGURES}


def tables_of_figures() -> list[str]:
    """Names of all tables that figures are drawn from; `claims` is made from claims.json, the others are csv files."""
    return list(dict.fromkeys(table for entry in FIGURES.values() for table in entry.tables))


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """All tables that figures are drawn from, by name."""
    csv = [name for name in tables_of_figures() if name != "claims"]
    tables = {name: read_table(folder / f"{name}.csv") for name in csv}
    return tables | {"claims": main_claims_frame(read_claims(folder / "claims.json"))}


def make_figures(tables_dir: str | Path, figures_dir: str | Path) -> None:
    """Draw every figure from what is in `tables_dir`: NAME.svg, NAME.png and NAME.csv in `figures_dir`."""
    tables = read_tables(Path(tables_dir))
    for name, entry in FIGURES.items():
        rows = entry.rows(tables)
        style.save_figure(entry.draw(rows), rows, Path(figures_dir) / name)
