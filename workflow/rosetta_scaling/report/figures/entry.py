"""What every figure of a report consists of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class FigureEntry:
    """One figure.

    name    of its files NAME.svg, NAME.png and NAME.csv, and of its caption
    title   on its page
    place   page and place on it; a template says `figures_at(place)` where the figures of a place stand
    tables  names of the result tables that it needs
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
