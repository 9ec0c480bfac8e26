"""The study of inverse depth scaling: see catalogue.py for what every companion study has."""

from pathlib import Path

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.companions.depth import claims as depth_claims
from rosetta_scaling.companions.depth import real_claims as depth_real_claims
from rosetta_scaling.companions.depth import results as depth_results
from rosetta_scaling.companions.depth.chinchilla import chinchilla_table, read_runs
from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.store.tables import read_table

RUNS = "runs"  # table and figure of published runs, when there are any


def run_job(settings: DepthSettings, job: str, device: object, folder: Path) -> None:
    """Train the students of one kind for one length at every depth."""
    from rosetta_scaling.companions.depth.measure import run_job

    regime, steps = job.split("-")
    run_job(settings, regime, int(steps), device, folder)


def make_tables(settings: DepthSettings, jobs: Path) -> dict[str, pd.DataFrame]:
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


def draw(settings: DepthSettings, tables: dict[str, pd.DataFrame]) -> dict[str, tuple[object, pd.DataFrame]]:
    from rosetta_scaling.companions.depth import figures as depth_figures
    from rosetta_scaling.companions.depth import real_figures as depth_real_figures

    drawn = {}
    for name, (pick, draw_rows) in depth_figures.FIGURES.items():
        rows = pick(tables)
        drawn[name] = draw_rows(rows), rows
    if RUNS in tables:
        drawn[RUNS] = depth_real_figures.draw_runs(tables[RUNS]), tables[RUNS]
    if "language_drawn" in tables:  # of a depth ladder of language models, see depth_language.py
        drawn["language"] = depth_real_figures.draw_language(tables["language_drawn"]), tables["language_drawn"]
    return drawn
