"""Assemble the result tables from the artifacts of a study. Every count stands beside its nulls."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.names import POINT_TABLES, POLARIZATION_TABLES
from rosetta_scaling.schemas.tables.catalogue import STUDY
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.tables import read_json, read_table

Point = tuple[str, str]  # curve and rung
TRAINING = ("seed", "training_tokens", "epochs", "validation_loss", "validation_bits_per_byte", "train_seconds")


def table_inputs(plan: StudyPlan) -> Inputs:
    layout, curves = plan.layout, plan.study.curves
    return {
        "rosetta": [layout.rosetta(*point) for point in layout.points],
        "matches": [layout.matches(*pair) for pair in layout.pairs.values()],
        "summaries": summaries(layout, layout.points),
        "continued": [layout.summary(scope_of_model(layout, model), model) for model in layout.continued],
        "points": [layout.point_table(name, *point) for name in POINT_TABLES for point in layout.points],
        "polarization": [layout.polarization(curve, name) for name in POLARIZATION_TABLES for curve in curves],
        "manifests": [layout.checkpoint_manifest(model) for model in layout.models],
        "judgements": layout.judgements,
    }


def summaries(layout: Layout, points: Iterable[Point]) -> list[str]:
    """What is known of the networks of some points as they were read, and of the first pair of every point."""
    points = list(points)
    of_points = [path for point in points for path in layout.summaries(*point)]
    of_models = [layout.summary(scope_of_model(layout, model), model) for model in layout.models_of_points(points)]
    of_pairs = [layout.match_summary(*layout.points[point][:2]) for point in points]
    return sorted({*of_points, *of_models, *of_pairs})


def point_tables(layout: Layout, name: str, points: Iterable[Point]) -> pd.DataFrame:
    """One of the POINT_TABLES of some points, with the columns curve and point."""
    tables = []
    for curve, rung in points:
        table = read_table(layout.point_table(name, curve, rung))
        table.insert(0, "curve", curve)
        table.insert(1, "point", rung)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def counts_table(layout: Layout, points: Iterable[Point]) -> pd.DataFrame:
    """One row per curve, point and criterion: the count with its nulls, its calibration and its stability."""
    from rosetta_scaling.points.planted import at_common_r
    from rosetta_scaling.points.sizes import size_columns

    points, rows = list(points), []
    counts = point_tables(layout, "counts", points)
    for curve, rung in points:
        members = layout.points[curve, rung]
        sizes = [read_json(path) for path in layout.summaries(curve, rung)]
        manifests = [read_json(layout.checkpoint_manifest(model)) for model in members]
        tokens = [manifest.get("training_tokens", np.nan) for manifest in manifests]
        row: dict[str, Any] = {"curve": curve, "point": rung, "models": " ".join(members), "anchor": members[0]}
        row |= size_columns(sizes, tokens) | {"constant_neurons": constant_neurons(layout, curve, rung)}
        rows.append(row)
    counts = pd.concat([counts, at_common_r(counts, point_tables(layout, "planted", points))], axis=1)
    return pd.DataFrame(rows).merge(counts, on=["curve", "point"])


def constant_neurons(layout: Layout, curve: str, rung: str) -> int:
    """Number of neurons of the anchor that never change, and so cannot match."""
    anchor, partner = layout.points[curve, rung][:2]
    summary = read_json(layout.match_summary(anchor, partner))
    return summary["constant_a" if layout.pair(anchor, partner)[0] == anchor else "constant_b"]


def models_table(layout: Layout, models: Iterable[str]) -> pd.DataFrame:
    """One row per model: sizes, training, validation loss, where the weights are."""
    rows = []
    for model in models:
        manifest = read_json(layout.checkpoint_manifest(model))
        summary = read_json(layout.summary(scope_of_model(layout, model), model))
        sizes = {key: summary[key] for key in ("parameters", "non_embedding_parameters", "layers", "hidden_size")}
        row: dict[str, Any] = {"model": model, "family": layout.family(model), "rung": layout.rung(model)}
        row |= {"architecture": summary["architecture"], "source": manifest["source"], "modality": manifest["modality"]}
        row |= sizes | {"neurons": sum(summary["neurons"]), "vocabulary": summary["vocabulary"]}
        row |= {key: manifest.get(key) for key in TRAINING}
        row |= {"accuracy": manifest.get("accuracy")} if layout.study.modality == "image" else {}
        row |= {"origin": origin(layout, model, manifest), "checkpoint": layout.checkpoint(model)}
        rows.append(row | {"sha256": digest(manifest["sha256"])})
    return pd.DataFrame(rows)


def scope_of_model(layout: Layout, model: str) -> str:
    """The first unit set on which a model was read."""
    return next(layout.scope(*pair) for pair in layout.pairs.values() if model in pair)


def origin(layout: Layout, model: str, manifest: dict) -> str:
    """Where a network is from: what the study calls it, with the commit that it stood for."""
    if layout.source(model) in ("ladder", "untrained"):
        return layout.source(model)
    if layout.source(model) == "continued":
        return f"{layout.original(model)}, trained further on {layout.further_text(model)}"
    commit = manifest["origin"].get("commit")
    return layout.network_reference(model) + (f" (commit {commit})" if commit else "")


def training_table(layout: Layout) -> pd.DataFrame:
    """Training curves: model, family, rung, step, tokens, loss (nats per token)."""
    per_step = layout.study.ladder.batch_sequences * layout.study.ladder.context
    rows = []
    for model in filter(layout.is_trained_here, layout.models):
        manifest = read_json(layout.checkpoint_manifest(model))
        before = manifest.get("tokens_before", 0)  # where training goes on
        rows += [
            (model, layout.family(model), layout.rung(model), step, before + step * per_step, loss)
            for step, loss in manifest["losses"]
        ]
    return pd.DataFrame(rows, columns=STUDY["training"].names)


def curve_tables(layout: Layout, name: str) -> pd.DataFrame:
    """One of the POLARIZATION_TABLES of all curves."""
    return pd.concat([read_table(layout.polarization(curve, name)) for curve in layout.study.curves], ignore_index=True)


def judge_table(layout: Layout) -> pd.DataFrame:
    """What the judge says: one row per curve, point, group (rosetta, others) and measure; none when nobody judges."""
    tables = []
    for path in layout.judgements:
        curve, point = Path(path).parts[-3:-1]
        tables.append(read_table(path).assign(curve=curve, point=point))
    schema = STUDY["judge"]
    return pd.concat(tables, ignore_index=True)[schema.names] if tables else schema.empty()


def architectures(layout: Layout) -> dict[str, str]:
    """The architectures that every curve compares, as words; of a family that is not trained here, its name."""
    families = layout.study.families
    return {
        curve: " ".join(str(families[name].architecture or name) for name in members)
        for curve, members in layout.study.curves.items()
    }


def write_tables(layout: Layout, folder: Path) -> None:
    """Write every one of STUDY_TABLES."""
    from rosetta_scaling.points.counts import seeds_table

    points = layout.points
    counts, models = counts_table(layout, points), models_table(layout, layout.models)
    tables = {
        "counts": counts,
        **{name: point_tables(layout, name, points) for name in POINT_TABLES if name != "counts"},
        **{name: curve_tables(layout, name) for name in POLARIZATION_TABLES},
        "judge": judge_table(layout),
        "seeds": seeds_table(counts, architectures(layout)),
        "models": models,
        "training": training_table(layout),
    }
    for name, table in tables.items():
        write_checked_table(folder / f"{name}.csv", table, STUDY[name])
