"""The companion studies, and what all of them have in common: a module study.py with the same functions.

A study module imports neither torch nor matplotlib: run_job and draw import them when they are called.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from rosetta_scaling.companions.depth import study as depth
from rosetta_scaling.companions.filtering import study as filtering
from rosetta_scaling.companions.lottery import study as lottery
from rosetta_scaling.companions.mixture import study as mixture
from rosetta_scaling.config.companions.protocol import Protocol as Settings
from rosetta_scaling.schemas.tables.catalogue import COMPANIONS
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.tables import read_table, write_json


class Study(Protocol):
    """The functions of every study module; `settings` are those of the study, of a type of its own."""

    def make_tables(self, settings: Any, jobs: Path) -> dict[str, pd.DataFrame]:
        """Tables by name, from the folder in which every job has a folder of its name."""

    def judge(self, settings: Any, tables: dict[str, pd.DataFrame]) -> list:
        """The claims of the study, each with a caveat."""

    def draw(self, settings: Any, tables: dict[str, pd.DataFrame]) -> dict[str, tuple[Any, pd.DataFrame]]:
        """Figures by name: the matplotlib figure and the rows that it draws."""


class TrainedApart(Study, Protocol):
    """What studies have beside these whose jobs need nothing of the main study."""

    def run_job(self, settings: Any, job: str, device: Any, folder: Path) -> None:
        """Do one of settings.jobs and write its files into an existing folder. `device` is a torch.device."""


MAIN_CLAIMS = "main_claims"  # the figure that every companion has whose main claims have an effect
TRAINED_APART: dict[str, TrainedApart] = {"lottery": lottery, "depth": depth, "mixture": mixture}
STUDIES: dict[str, Study] = {**TRAINED_APART, "filtering": filtering}


def write_job(name: str, settings: Settings, job: str, *, device: object, folder: str | Path) -> None:
    """Do a job of one of TRAINED_APART and write its folder, completely or not at all.

    manifest.json in it holds the settings.
    """
    with atomic(folder) as part:
        part.mkdir()
        TRAINED_APART[name].run_job(settings, job, device, part)
        write_json(part / "manifest.json", {"study": name, "job": job, "settings": settings.training()})


def write_tables(name: str, settings: Settings, jobs: str | Path, folder: str | Path) -> None:
    """Write every table of a study as NAME.csv, and claims.json."""
    tables = STUDIES[name].make_tables(settings, Path(jobs))
    for table, rows in tables.items():
        write_checked_table(Path(folder) / f"{table}.csv", rows, COMPANIONS[name][table])
    claims = STUDIES[name].judge(settings, read_tables([folder]))
    write_json(Path(folder) / "claims.json", {"claims": [claim.as_json() for claim in claims]})


def read_tables(folders: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
    """All tables in some folders, by name."""
    return {path.stem: read_table(path) for folder in folders for path in sorted(Path(folder).glob("*.csv"))}


def write_figures(name: str, settings: Settings, tables: Iterable[str | Path], folder: str | Path) -> None:
    """Write every figure of a study as svg, png and csv, from the folders with its tables and claims."""
    from rosetta_scaling.report.claims import claims_of, main_claims_frame
    from rosetta_scaling.report.figures import style
    from rosetta_scaling.report.figures.answer import draw_main_claims

    folders = list(tables)
    figures = STUDIES[name].draw(settings, read_tables(folders))
    main = main_claims_frame(claims_of(folders))
    if main["effect"].notna().any():
        figures[MAIN_CLAIMS] = draw_main_claims(main), main
    for figure, (picture, rows) in figures.items():
        style.save_figure(picture, rows, Path(folder) / figure)
