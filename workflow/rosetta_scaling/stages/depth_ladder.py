"""The ladder of depths: language models of one width and different depths, if the study trains such."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import STUDY_TABLES
from rosetta_scaling.schemas.tables.depth import LANGUAGE, LANGUAGE_ANGLES
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table, write_json

if TYPE_CHECKING:
    import torch


def depth_ladder(plan: StudyPlan) -> list[str]:
    """Models of families that are trained here in one width and at least three depths, if depth is studied."""
    layout, ladder = plan.layout, []
    for family in plan.study.families if "depth" in layout.companion_keys else ():
        models = [
            model for model in layout.models if layout.family(model) == family and layout.source(model) == "ladder"
        ]
        sizes = [plan.size(model) for model in models]
        if len({size.hidden for size in sizes}) == 1 and len({size.layers for size in sizes}) >= MINIMUM_RUNGS:
            ladder += models
    return ladder


def depth_pairs(plan: StudyPlan) -> list[tuple[str, str]]:
    """Pairs of models of the depth ladder that are equally deep."""
    ladder = set(depth_ladder(plan))
    return [
        (a, b) for a, b in plan.layout.pairs.values() if {a, b} <= ladder and plan.size(a).layers == plan.size(b).layers
    ]


def language_settings(plan: StudyPlan) -> dict:
    """What the tables of the depth ladder depend on, as plain values."""
    used = {"confidence", "shuffles", "seed", "angle_band", "orthogonal", "flatness"}
    return plan.study.companions.depth.model_dump(mode="json", include=used)


# -- angles ----------------------------------------------------------------------------------------------------------


def angle_inputs(plan: StudyPlan, model: str) -> Inputs:
    return {"checkpoint": [plan.layout.checkpoint_manifest(model)], "text": [plan.layout.held_out(model)]}


def measure_angles(plan: StudyPlan, model: str, device: "torch.device", out: str) -> None:
    """Write the angles along the layers of a model, on text that it was not trained on."""
    import numpy as np

    from rosetta_scaling.companions.depth.angles import language_angles

    layout, settings = plan.layout, plan.study.companions.depth
    text = np.load(layout.held_out(model))
    angles = language_angles(
        Path(layout.checkpoint(model)),
        text,
        context=plan.study.ladder.context,
        sequences=settings.language_sequences,
        seed=settings.seed,
        device=device,
    )
    write_checked_table(out, angles, LANGUAGE_ANGLES)


# -- tables ----------------------------------------------------------------------------------------------------------


def ladder_inputs(plan: StudyPlan) -> Inputs:
    layout, pairs = plan.layout, depth_pairs(plan)
    return {
        "tables": [layout.tables(f"{name}.csv") for name in STUDY_TABLES],
        "angles": [layout.angles(model) for model in depth_ladder(plan)],
        "matches": [layout.matches(*pair) for pair in pairs],
        "nulls": [layout.null("untrained", *pair) for pair in pairs],
    }


def write_language(plan: StudyPlan, folder: str | Path) -> None:
    """Tables and claims.json of the depth ladder of a study; language_drawn.csv is what its figure shows."""
    from rosetta_scaling.companions.depth.language import language_exponents, loss_table, middle_angles
    from rosetta_scaling.companions.depth.real_claims import judge_language
    from rosetta_scaling.companions.depth.real_figures import language_data

    layout, settings, folder = plan.layout, plan.study.companions.depth, Path(folder)
    models = read_table(layout.tables("models.csv"))
    models = models[models.model.isin(depth_ladder(plan))]
    angles = pd.concat([read_table(layout.angles(model)).assign(model=model) for model in models.model])
    middle, pairs = middle_angles(angles), pairs_table(plan)
    tables = {
        "language_losses": loss_table(models),
        "language_exponents": language_exponents(models, angles, settings.confidence),
        "language_angles": middle,
        "language_pairs": pairs,
        "language_drawn": language_data(models, middle, pairs),
    }
    for name, table in tables.items():
        write_checked_table(folder / f"{name}.csv", table, LANGUAGE[name])
    write_json(folder / "claims.json", {"claims": [claim.as_json() for claim in judge_language(tables, settings)]})


def pairs_table(plan: StudyPlan) -> pd.DataFrame:
    """pair_alignment of mutual best partners of every pair of equally deep models, and of every draw of untrained ones.

    Columns: model_a, model_b, layers, kind ("real", "untrained"), and those of pair_alignment.
    """
    from rosetta_scaling.companions.depth.language import pair_alignment
    from rosetta_scaling.companions.depth.rosetta import add_layers

    layout, rows = plan.layout, []
    for a, b in depth_pairs(plan):
        widths = [list(plan.size(model).widths) for model in (a, b)]
        null = read_table(layout.null("untrained", a, b))
        tables = [("real", read_table(layout.matches(a, b)))] + [
            ("untrained", draw) for _, draw in null.groupby("draw")
        ]
        for kind, table in tables:
            mutual = table[(table.rank_a == 1) & (table.rank_b == 1)]
            matches = add_layers(mutual, *widths)
            found = pair_alignment(matches, len(widths[0]), plan.study.companions.depth)
            rows.append({"model_a": a, "model_b": b, "layers": len(widths[0]), "kind": kind} | found)
    return pd.DataFrame(rows, columns=LANGUAGE["language_pairs"].names)
