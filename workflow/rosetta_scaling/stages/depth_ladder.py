"""Tables of the ladder of depths."""

from pathlib import Path

import pandas as pd

from rosetta_scaling.companions.depth.language import (
    language_exponents,
    loss_table,
    middle_angles,
    pair_alignment,
)
from rosetta_scaling.companions.depth.real_claims import judge_language
from rosetta_scaling.companions.depth.real_figures import language_data
from rosetta_scaling.companions.depth.rosetta import add_layers
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.schemas.tables.depth import LANGUAGE
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.store.tables import read_table, write_json


def pairs_table(layout: Layout) -> pd.DataFrame:
    """pair_alignment of mutual best partners of every pair of equally deep models, and of every draw of untrained ones.

    Columns: model_a, model_b, layers, kind ("real", "untrained"), and those of pair_alignment.
    """
    rows = []
    for a, b in layout.depth_pairs:
        widths = [[layout.size(model).width] * layout.size(model).layers for model in (a, b)]
        null = read_table(layout.null("untrained", a, b))
        tables = [("real", read_table(layout.matches(a, b)))] + [
            ("untrained", draw) for _, draw in null.groupby("draw")
        ]
        for kind, table in tables:
            mutual = table[(table.rank_a == 1) & (table.rank_b == 1)]
            matches = add_layers(mutual, *widths)
            found = pair_alignment(matches, len(widths[0]), layout.study.companions.depth)
            rows.append({"model_a": a, "model_b": b, "layers": len(widths[0]), "kind": kind} | found)
    return pd.DataFrame(rows, columns=LANGUAGE["language_pairs"].names)


def write_language(layout: Layout, folder: str | Path) -> None:
    """Tables and claims.json of the depth ladder of a study; language_drawn.csv is what its figure shows."""
    settings, folder = layout.study.companions.depth, Path(folder)
    models = read_table(layout.tables("models.csv"))
    models = models[models.model.isin(layout.depth_ladder)]
    angles = pd.concat([read_table(layout.angles(model)).assign(model=model) for model in models.model])
    middle, pairs = middle_angles(angles), pairs_table(layout)
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
