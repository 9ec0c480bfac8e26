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
    from rosetta_scaling.activations.extract import Extraction, extract
    from rosetta_scaling.networks.loading import load_model
    from rosetta_scaling.networks.manifests import describe
    from rosetta_scaling.networks.model_sizes import require_planned

    layout, study = plan.layout, plan.study
    manifest = read_json(layout.checkpoint_manifest(model))
    units = read_table(layout.units(scope))
    plan.matching.check_scratch(len(units), study.matching.scratch_gb)
    seeing = {"modality": study.modality, "noise_level": study.images.noise_level}
    network = load_model(layout.checkpoint(model), device, study.networks, **seeing)
    require_planned(model, sum(describe(network)["neurons"]), plan.size(model).neurons)
    job = Extraction(
        model,
        study.activations,
        weights=[manifest["sha256"], study.networks.dtype, *noise_of(manifest)],
        out_dir=Path(summary).parent,
        work_dir=work_dir,
        store=plan.stores_activations,
    )
    extract(job, network, read_table(layout.tokens(scope, model)), units, device=device)


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
    from rosetta_scaling.activations.extract import Extraction, extract
    from rosetta_scaling.networks.loading import untrained_model

    layout, study = plan.layout, plan.study
    tokens, units = read_table(layout.tokens(scope, model)), read_table(layout.units(scope))
    seeing = {"modality": study.modality, "noise_level": study.images.noise_level}
    noise = noise_of(read_json(layout.checkpoint_manifest(model)))
    for draw, (summary, work_dir) in enumerate(zip(summaries, work_dirs, strict=True)):
        seed = untrained_seed(study, model, draw)
        job = Extraction(
            f"{model}.untrained{draw}",
            study.activations,
            weights=[seed, study.networks.dtype, *noise],
            out_dir=Path(summary).parent,
            work_dir=work_dir,
            measure=False,
        )
        network = untrained_model(layout.checkpoint(model), seed, device, study.networks, **seeing)
        extract(job, network, tokens, units, device=device)


def noise_of(manifest: dict) -> list[float]:
    """The share of noise in the images that a generator of diffusers reads, as the manifest of a network says it; of
    other networks, which read the images themselves, nothing.
    """
    return [manifest["noise_level"]] if "noise_level" in manifest else []
