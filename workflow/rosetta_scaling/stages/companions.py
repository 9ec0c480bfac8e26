"""Companion studies: their jobs, tables, figures and pages."""

from pathlib import Path
from typing import TYPE_CHECKING

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.depth_ladder import depth_ladder
from rosetta_scaling.stages.inputs import Inputs

if TYPE_CHECKING:
    import torch


def train_companion(layout: Layout, name: str, job: str, device: "torch.device", *, manifest: str) -> None:
    """Do one job of a companion study; write its folder, the manifest last."""
    from rosetta_scaling.companions.catalogue import write_job

    write_job(name, layout.settings_of_trained(name), job, device=device, folder=Path(manifest).parent)


# -- tables ----------------------------------------------------------------------------------------------------------


def companion_inputs(plan: StudyPlan, companion: str) -> Inputs:
    """What its jobs have trained, and the table of published runs; when that is missing, the job says so."""
    layout, folder = plan.layout, plan.layout.companion_jobs(companion)
    runs = plan.study.companions.depth.chinchilla if companion == "depth" else None
    return {
        "jobs": [f"{folder}/{job}/manifest.json" for job in layout.settings_of_trained(companion).jobs],
        "runs": [runs] if runs and Path(runs).exists() else [],
    }


def write_companion_tables(layout: Layout, name: str, folder: str) -> None:
    """Write all tables and claims.json of a companion study."""
    from rosetta_scaling.companions.catalogue import write_tables

    write_tables(name, layout.companion_settings(name), layout.companion_jobs(name), folder)


# -- figures and page ------------------------------------------------------------------------------------------------


def companion_tables(plan: StudyPlan, name: str) -> list[str]:
    """Folders with tables and claims.json of a companion study: its own, and the one of the depth ladder."""
    ladder = ["language"] if name == "depth" and depth_ladder(plan) else []
    return [f"{plan.layout.companion(name)}/{folder}" for folder in ("tables", *ladder)]


def companion_page_inputs(plan: StudyPlan, companion: str) -> Inputs:
    return {"tables": companion_tables(plan, companion)}


def write_companion(plan: StudyPlan, name: str, *, figures: str, provenance: str, page: str) -> None:
    """Draw the figures of a companion study, write its provenance.json and its page."""
    from rosetta_scaling.stages.companion_page import CompanionPage, write_page_of_companion

    write_page_of_companion(
        CompanionPage(
            name=name,
            study=plan.study.study,
            settings=plan.layout.companion_settings(name),
            tables=companion_tables(plan, name),
            figures=Path(figures),
            provenance=Path(provenance),
            page=Path(page),
        )
    )
