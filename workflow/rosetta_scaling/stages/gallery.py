"""The page of images of a study of networks that see: matched neurons with heat maps, and what generators make."""

from pathlib import Path

import numpy as np
import pandas as pd

from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.facts import source_files
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table

SHOWN = 12  # matches of a curve, drawn at random ...
FDR = 0.05  # ... from those that survive this false-discovery rate, or the strongest where none does
IMAGES = 8  # that excite the anchor's neuron most


def largest_points(plan: StudyPlan) -> dict[tuple[str, str], list[str]]:
    """The point of the largest networks of every curve that was trained."""
    layout, last = plan.layout, {}
    for (curve, rung), models in layout.points.items():
        if "untrained" not in map(layout.source, models):
            last[curve] = (rung, models)
    return {(curve, rung): models for curve, (rung, models) in last.items()}


def generators(plan: StudyPlan) -> list[str]:
    """Networks that were trained here to make images."""
    layout = plan.layout
    families = plan.study.families
    return [
        model
        for model in layout.models
        if layout.is_trained_here(model) and families[layout.family(model)].architecture == "dit"
    ]


def gallery_inputs(plan: StudyPlan) -> Inputs:
    layout, points = plan.layout, largest_points(plan)
    seen = [
        (layout.scope_of_member(*point, i), model) for point, models in points.items() for i, model in enumerate(models)
    ]
    return {
        "rosetta": [layout.rosetta(*point) for point in points],
        "units": sorted({layout.units(scope) for scope, _ in seen}),
        "images": sorted({layout.tokens(scope, model) for scope, model in seen}),
        "contexts": sorted({layout.contexts(*one) for one in seen}),
        "selectivity": sorted({layout.selectivity(*one) for one in seen}),
        "sources": sorted({file for one in seen for file in source_files(plan, *one).inputs}),
        "samples": [layout.checkpoint_manifest(model) for model in generators(plan)],
    }


def write_gallery(plan: StudyPlan, out: str) -> None:
    """Write the page of images."""
    from rosetta_scaling.corpora.pixels import data_uri
    from rosetta_scaling.report.gallery import match_rows
    from rosetta_scaling.report.pages import write_page

    curves = []
    for (curve, rung), models in largest_points(plan).items():
        chosen, survive = _chosen(plan, curve, read_table(plan.layout.rosetta(curve, rung)), models)
        rows = [match_rows(match) for match in _matches_of_point(plan, curve, rung, models=models, chosen=chosen)]
        curves.append({"curve": curve, "point": rung, "survive": survive, "matches": rows})
    made = [
        {"model": model, "image": data_uri((Path(plan.layout.checkpoint(model)) / "samples.png").read_bytes())}
        for model in generators(plan)
    ]
    write_page(
        "images.html.j2",
        Path(out),
        {"study": plan.study.study, "curves": curves, "made": made, "fdr": FDR, "most": SHOWN},
    )


def _chosen(plan: StudyPlan, curve: str, table: pd.DataFrame, models: list[str]) -> tuple[pd.DataFrame, bool]:
    """Rows of the Rosetta neurons of a point that are shown, and whether they survive the false-discovery rate."""
    from rosetta_scaling.numerics.seeds import random_subset

    name = plan.study.matching.criteria[0].name
    if len(survive := table[table[f"{name}_fdr05"]]):
        return survive.iloc[random_subset(len(survive), SHOWN, plan.study.nulls.seed, curve, "gallery")], True
    rosetta = table[table[name]]
    weakest = rosetta[[f"r_{model}" for model in models[1:]]].min(axis=1)
    return rosetta.loc[weakest.nlargest(SHOWN).index], False


def _matches_of_point(plan: StudyPlan, curve: str, rung: str, *, models: list[str], chosen: pd.DataFrame) -> list:
    """The chosen Rosetta neurons of a point, with what excites them."""
    from rosetta_scaling.corpora.pixels import decode
    from rosetta_scaling.report.gallery import Match

    layout = plan.layout
    scopes = [layout.scope_of_member(curve, rung, i) for i in range(len(models))]
    units, contexts = read_table(layout.units(scopes[0])), read_table(layout.contexts(scopes[0], models[0]))
    samples = read_table(layout.tokens(scopes[0], models[0])).set_index("passage")
    neurons = [chosen.neuron, *(chosen[f"partner_{model}"] for model in models[1:])]
    numbers = [_strongest_images(contexts, units, neuron) for neuron in chosen.neuron]
    responses = [
        _responses(plan, scope, model, neurons=own.to_numpy(), numbers=numbers)
        for scope, model, own in zip(scopes, models, neurons, strict=True)
    ]
    return [
        Match(
            [float(row[f"r_{model}"]) for model in models[1:]],
            [decode(samples.image[number], f"image {number}") for number in numbers[i]],
            [of_model[i] for of_model in responses],
        )
        for i, (_, row) in enumerate(chosen.iterrows())
    ]


def _strongest_images(contexts: pd.DataFrame, units: pd.DataFrame, neuron: int) -> list[int]:
    """Numbers of the images with the units on which a neuron is strongest."""
    own = contexts[contexts.neuron == neuron].sort_values("activation", ascending=False)
    return list(dict.fromkeys(units.passage.to_numpy()[own.unit].tolist()))[:IMAGES]


def _responses(plan: StudyPlan, scope: str, model: str, *, neurons: np.ndarray, numbers: list[list[int]]) -> list:
    """What the neurons of a model do on the images of every row."""
    import torch

    from rosetta_scaling.report.gallery import Response
    from rosetta_scaling.stages.sources import open_source

    layout = plan.layout
    source = open_source(source_files(plan, scope, model), plan.study, torch.device("cpu"))
    chosen = torch.tensor(neurons)
    own = torch.cat([chunk[chosen].float() for chunk in source.chunks()], 1).numpy()  # (neurons, units)
    units = read_table(layout.units(scope))
    side = units.row.max() + 1
    about = read_table(layout.selectivity(scope, model))
    return [
        Response(
            model,
            int(about.layer[neuron]),
            int(about.channel[neuron]),
            factor if isinstance(factor := about.factor[neuron], str) else "",
            values.reshape(-1, side, side)[images],
        )
        for neuron, values, images in zip(neurons, own, numbers, strict=True)
    ]
