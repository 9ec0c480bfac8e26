"""The study of capacity, interference and rare tasks: see catalogue.py for what every companion study has."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.companions.mixture import claims as mixture_claims
from rosetta_scaling.companions.mixture import results as mixture_results
from rosetta_scaling.config.companions.mixture import MixtureSettings
from rosetta_scaling.schemas.tables.mixture import JOB_TABLES
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.store.tensors import write_tensors

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

WRITTEN = {name: (name,) for name in ("population", "retention", "injection")} | {"rosetta": ("allocation", "rosetta")}


def run_job(settings: MixtureSettings, job: str, device: "torch.device", folder: Path) -> None:
    """Train the networks of one experiment; of the one with ReLU, they are kept too."""
    import torch

    from rosetta_scaling.companions.mixture import retention as mixture_retention

    with torch.inference_mode():  # gradients are written out: that torch keeps no account is up to a third faster
        if job == "rosetta":
            tables = _rosetta_tables(settings, device, folder)
        else:
            tables = {job: getattr(mixture_retention, job)(settings, device)}
    for name, table in tables.items():
        write_checked_table(folder / f"{name}.csv", table, JOB_TABLES[name])


def _rosetta_tables(settings: MixtureSettings, device: "torch.device", folder: Path) -> dict[str, pd.DataFrame]:
    from rosetta_scaling.companions.mixture import rosetta as mixture_rosetta

    networks = {width: mixture_rosetta.trained(settings, width, device) for width in settings.relu.widths}
    tensors = {f"encoder_{width}": of_width.encoder.cpu() for width, of_width in networks.items()}
    tensors |= {f"decoder_{width}": of_width.decoder.cpu() for width, of_width in networks.items()}
    write_tensors(folder / "networks.safetensors", tensors)
    return {
        "allocation": mixture_rosetta.allocation_table(settings, networks),
        "rosetta": mixture_rosetta.rosetta_table(settings, networks),
    }


def make_tables(settings: MixtureSettings, jobs: Path) -> dict[str, pd.DataFrame]:
    """All tables of the study by name, from the folder of its jobs."""
    names = {name: job for job, written in WRITTEN.items() for name in written}
    return mixture_results.make_tables(
        settings, {name: read_table(jobs / job / f"{name}.csv") for name, job in names.items()}
    )


def judge(settings: MixtureSettings, tables: dict[str, pd.DataFrame]) -> list[Claim]:
    return mixture_claims.judge(tables, settings)


def draw(settings: MixtureSettings, tables: dict[str, pd.DataFrame]) -> dict[str, tuple["Figure", pd.DataFrame]]:
    """Figures by name, each with the rows that it draws."""
    from rosetta_scaling.companions.mixture import figures as mixture_figures
    from rosetta_scaling.report.figures.entry import draw_figures

    return draw_figures(mixture_figures.FIGURES, settings, tables)
