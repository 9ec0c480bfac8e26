"""Activations of the networks of a study, and of fresh initialisations of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.facts import untrained_seed
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_json, read_table

if TYPE_CHECKING:
    import torch


def extract_inputs(plan: StudyPlan, scope: str, model: str) -> Inputs:
    layout = plan.layout
    return {
        "checkpoint": [layout.checkpoint_manifest(model)],
        "units": [layout.units(scope)],
        "tokens": [layout.tokens(scope, model)],
    }


def extract_activations(
    plan: StudyPlan, scope: str, model: str, device: "torch.device", *, summary: str, work_dir: Path
) -> None:
    """Read a network once; write what extract.py says to the folder of `summary`."""
    from rosetta_scaling.activations.extract import extract
    from rosetta_scaling.networks.loading import load_model

    layout, study = plan.layout, plan.study
    units = read_table(layout.units(scope))
    plan.matching.check_scratch(len(units), study.matching.scratch_gb)
    extract(
        model,
        load_model(layout.checkpoint(model), device, study.networks),
        tokens=read_table(layout.tokens(scope, model)),
        units=units,
        settings=study.activations,
        out_dir=Path(summary).parent,
        work_dir=work_dir,
        device=device,
        weights=[read_json(layout.checkpoint_manifest(model))["sha256"], study.networks.dtype],
        store=plan.stores_activations,
    )


def extract_untrained(
    plan: StudyPlan,
    scope: str,
    model: str,
    device: "torch.device",
    *,
    summaries: Sequence[str],
    work_dirs: Sequence[Path],
) -> None:
    """Read every fresh initialisation of a network; write its activations to the folder of its summary."""
    from rosetta_scaling.activations.extract import extract
    from rosetta_scaling.networks.loading import untrained_model

    layout, study = plan.layout, plan.study
    tokens, units = read_table(layout.tokens(scope, model)), read_table(layout.units(scope))
    for draw, (summary, work_dir) in enumerate(zip(summaries, work_dirs, strict=True)):
        seed = untrained_seed(study, model, draw)
        extract(
            f"{model}.untrained{draw}",
            untrained_model(layout.checkpoint(model), seed, device, study.networks),
            tokens,
            units,
            settings=study.activations,
            out_dir=Path(summary).parent,
            work_dir=work_dir,
            device=device,
            weights=[seed, study.networks.dtype],
            measure=False,
        )
