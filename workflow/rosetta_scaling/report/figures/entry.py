"""What every figure consists of, of a report and of a companion study."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class FigureEntry:
    """One figure.

    name    of its files NAME.svg, NAME.png and NAME.csv, and of its caption
    title   on its page
    place   page and place on it; a template says `figures_at(place)` where the figures of a place stand
    tables  names of the result tables that it needs; `claims` are the main claims of claims.json, a row each
    pick    tables -> the rows that are drawn, which are saved beside the picture
    draw    these rows -> the picture
    """

    name: str
    title: str
    place: str
    tables: tuple[str, ...]
    pick: Callable[[Tables], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]

    def rows(self, tables: Tables) -> pd.DataFrame:
        """The rows that are drawn, picked from the tables that the figure names and from no others."""
        return self.pick({name: tables[name] for name in self.tables})


@dataclass(frozen=True)
class CompanionFigure:
    """One figure of a companion study, whose settings say what is drawn beside the rows.

    name    of its files NAME.svg, NAME.png and NAME.csv, and of its caption
    tables  names of the tables that it needs; a study that lacks one of them has no such figure
    pick    (tables, settings) -> the rows that are saved beside the picture
    draw    (these rows, tables, settings) -> the picture
    """

    name: str
    tables: tuple[str, ...]
    pick: Callable[[Tables, Any], pd.DataFrame]
    draw: Callable[[pd.DataFrame, Tables, Any], Figure]


def draw_figures(
    figures: Iterable[CompanionFigure], settings: Any, tables: Tables
) -> dict[str, tuple[Figure, pd.DataFrame]]:
    """Name -> (picture, rows) of every figure whose tables are there."""
    drawn = {}
    for figure in figures:
        if set(figure.tables) <= set(tables):
            rows = figure.pick(tables, settings)
            drawn[figure.name] = figure.draw(rows, tables, settings), rows
    return drawn
