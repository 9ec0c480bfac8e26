"""The study of data filtering: see catalogue.py for what every companion study has.

Its jobs need the networks of the main study, so that they have rules of their own (see stages/filtering.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.companions.filtering import claims as filtering_claims
from rosetta_scaling.companions.filtering import results as filtering_results
from rosetta_scaling.config.companions.filtering import FilteringSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def make_tables(settings: FilteringSettings, jobs: Path) -> dict[str, pd.DataFrame]:
    """All tables of the study by name, from the folder of its jobs."""
    return filtering_results.summarise(filtering_results.read_jobs(jobs, settings), settings)


def judge(settings: FilteringSettings, tables: dict[str, pd.DataFrame]) -> list[Claim]:
    return filtering_claims.judge(tables, settings)


def draw(settings: FilteringSettings, tables: dict[str, pd.DataFrame]) -> dict[str, tuple["Figure", pd.DataFrame]]:
    """Figures by name, each with the rows that it draws."""
    from rosetta_scaling.companions.filtering import figures as filtering_figures
    from rosetta_scaling.report.figures.entry import draw_figures

    return draw_figures(filtering_figures.FIGURES, settings, tables)
