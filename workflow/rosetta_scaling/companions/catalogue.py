"""What all companion studies have in common: each is a module NAME_study with the same functions.

    run_job(settings, job, device, folder)   does one of settings.jobs; writes its files into an existing folder
    make_tables(settings, jobs)       name -> table, from the folder in which every job has a folder of its name
    judge(settings, tables)           claims, each with a caveat
    draw(settings, tables)            name -> (matplotlib Figure, the rows it draws)

Only run_job needs torch to compute, and only draw needs matplotlib.
"""

import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pandas as pd

from rosetta_scaling.config.section import Section
from rosetta_scaling.schemas.tables.catalogue import COMPANIONS
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.tables import read_table, write_json


def study_of(name: str) -> ModuleType:
    return importlib.import_module(f"rosetta_scaling.companions.{name}.study")


def write_job(name: str, settings: Section, job: str, device: object, folder: str | Path) -> None:
    """Do a job and write its folder, whole or not at all; manifest.json in it says what it was made with."""
    with atomic(folder) as part:
        part.mkdir()
        study_of(name).run_job(settings, job, device, part)
        write_json(part / "manifest.json", {"study": name, "job": job, "settings": settings.training()})


def write_tables(name: str, settings: Section, jobs: str | Path, folder: str | Path) -> None:
    """Write every table of a study as NAME.csv, and claims.json."""
    tables = study_of(name).make_tables(settings, Path(jobs))
    for table, rows in tables.items():
        write_checked_table(Path(folder) / f"{table}.csv", rows, COMPANIONS[name][table])
    claims = study_of(name).judge(settings, read_tables([folder]))
    write_json(Path(folder) / "claims.json", {"claims": [claim.as_json() for claim in claims]})


def read_tables(folders: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
    """All tables in some folders, by name."""
    return {path.stem: read_table(path) for folder in folders for path in sorted(Path(folder).glob("*.csv"))}


def write_figures(name: str, settings: Section, tables: Iterable[str | Path], folder: str | Path) -> None:
    """Write every figure of a study as svg, png and csv, from the folders with its tables."""
    from rosetta_scaling.report.figures import style

    for figure, (picture, rows) in study_of(name).draw(settings, read_tables(tables)).items():
        style.save_figure(picture, rows, Path(folder) / figure)
