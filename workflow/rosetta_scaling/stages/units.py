"""Spans of text that all tokenizers of a scope can be compared on, and the unit of every token; patches of images."""

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.inputs import Inputs


def align_inputs(plan: StudyPlan, scope: str) -> Inputs:
    layout = plan.layout
    inputs = {"documents": [layout.documents], "tokenizers": list(layout.tokenizer_files(scope).values())}
    if plan.study.modality == "image":  # their grids decide the common one
        inputs["networks"] = [layout.checkpoint_manifest(model) for model in layout.models_of_scope(scope)]
    return inputs


def align_units(layout: Layout, scope: str, out: str) -> None:
    """Write the unit table of a scope."""
    if layout.study.modality == "image":
        from rosetta_scaling.networks.towers import grid_of
        from rosetta_scaling.units.images import align_patches

        grids = {model: grid_of(layout.checkpoint(model)) for model in layout.models_of_scope(scope)}
        align_patches(layout.documents, grids, layout.study.images, out)
    else:
        from rosetta_scaling.units.text import align  # no network is needed, and so no torch

        align(layout.documents, layout.tokenizer_files(scope), layout.study.units, out)


def index_inputs(plan: StudyPlan, scope: str, tokenizer: str) -> Inputs:
    layout = plan.layout
    return {
        "documents": [layout.documents],
        "units": [layout.units(scope)],
        "tokenizer": [layout.tokenizer_files(scope)[tokenizer]] if plan.study.modality == "text" else [],
    }


def index_tokens_of(layout: Layout, scope: str, tokenizer: str, out: str) -> None:
    """Write the unit of every token of a tokenizer, or the images that networks read."""
    from rosetta_scaling.units.images import index_images
    from rosetta_scaling.units.text import index_tokens

    if layout.study.modality == "image":
        index_images(layout.documents, layout.units(scope), out)
    else:
        file = layout.tokenizer_files(scope)[tokenizer]
        index_tokens(layout.documents, layout.units(scope), file, layout.study.units, out=out)
