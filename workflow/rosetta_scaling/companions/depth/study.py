"""The study of inverse depth scaling: see catalogue.py for what every companion study has."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.companions.depth import claims as depth_claims
from rosetta_scaling.companions.depth import real_claims as depth_real_claims
from rosetta_scaling.companions.depth import results as depth_results
from rosetta_scaling.companions.depth.chinchilla import chinchilla_table, read_runs
from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

RUNS = "runs"  # table and figure of published runs, if the settings name a table of them


def run_job(settings: DepthSettings, job: str, device: "torch.device", folder: Path) -> None:
    """Train the students of one kind for one length at every depth."""
    from rosetta_scaling.companions.depth.measure import run_job

    regime, steps = job.split("-")
    run_job(settings, regime, int(steps), device=device, folder=folder)


def make_tables(settings: DepthSettings, jobs: Path) -> dict[str, pd.DataFrame]:
    """All tables of the study by name, from the folder of its jobs."""
    found = {
        name: pd.concat([read_table(jobs / job / f"{name}.parquet") for job in settings.jobs], ignore_index=True)
        for name in ("losses", "angles", "matches")
    }
    tables = depth_results.summarise(found, settings)
    if settings.chinchilla:
        tables[RUNS] = chinchilla_table(read_runs(settings.chinchilla), settings)
    return tables


def judge(settings: DepthSettings, tables: dict[str, pd.DataFrame]) -> list[Claim]:
    claims = depth_claims.judge(tables, settings)
    if RUNS in tables:
        claims += depth_real_claims.judge_runs(tables[RUNS], settings)
    return claims


def draw(settings: DepthSettings, tables: dict[str, pd.DataFrame]) -> dict[str, tuple["Figure", pd.DataFrame]]:
    """Figures by name, each with the rows that it draws."""
    from rosetta_scaling.companions.depth import figures as depth_figures
    from rosetta_scaling.companions.depth import real_figures as depth_real_figures
    from rosetta_scaling.report.figures.entry import draw_figures

    return draw_figures([*depth_figures.FIGURES, *depth_real_figures.FIGURES], settings, tables)
