"""Assemble the result tables from the artifacts of a study. Every count stands beside its nulls."""

from pathlib import Path

import numpy as np
import pandas as pd

from rosetta_scaling import claims, fits, polarization
from rosetta_scaling.counts import Point, point_counts, point_snapshots, seeds_table
from rosetta_scaling.decomposition import point_decomposition
from rosetta_scaling.layout import Layout
from rosetta_scaling.rosetta import rosetta_table
from rosetta_scaling.store import digest, read_json, read_table, write_json, write_table


def write_rosetta(layout: Layout, curve: str, rung: str, out: str | Path) -> None:
    """One row per anchor neuron of a point, with layer and channel; and its counts, to the other POINT_TABLES."""
    point = Point(layout, curve, rung)
    widths = _summary(layout, curve, rung, 0)["neurons"]
    table = rosetta_table(sum(widths), *point.real, layout.study.matching.criteria)
    table.insert(1, "layer", np.repeat(np.arange(len(widths)), widths))
    table.insert(2, "channel", np.concatenate([np.arange(width) for width in widths]))
    write_table(out, table)
    write_table(layout.point_table("counts", curve, rung), point_counts(point, table))
    write_table(layout.point_table("decomposition", curve, rung), point_decomposition(point))
    write_table(layout.point_table("snapshots", curve, rung), point_snapshots(point, table))


def point_tables(layout: Layout, name: str) -> pd.DataFrame:
    """One of the POINT_TABLES of all points, with the columns curve and point."""
    tables = []
    for curve, rung in layout.points:
        table = read_table(layout.point_table(name, curve, rung))
        table.insert(0, "curve", curve)
        table.insert(1, "point", rung)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _summary(layout: Layout, curve: str, rung: str, member: int) -> dict:
    scope = layout.scope_of_member(curve, rung, member)
    return read_json(f"{layout.activations(scope, layout.points[curve, rung][member])}/summary.json")


def counts_table(layout: Layout) -> pd.DataFrame:
    """One row per curve, point and criterion: the count with its nulls, its calibration and its stability."""
    counts, rows = point_tables(layout, "counts"), []
    for (curve, rung), members in layout.points.items():
        sizes = pd.DataFrame([_summary(layout, curve, rung, i) for i in range(len(members))])
        rows.append(
            {
                "curve": curve,
                "point": rung,
                "models": " ".join(members),
                "anchor": members[0],
                "neurons": sizes.neurons.map(sum).mean(),
                "parameters": sizes.parameters.mean(),
                "non_embedding_parameters": sizes.non_embedding_parameters.mean(),
                "anchor_neurons": sum(sizes.neurons[0]),
                "constant_neurons": _constant(layout, curve, rung),
            }
        )
    return pd.DataFrame(rows).merge(counts, on=["curve", "point"])


def _constant(layout: Layout, curve: str, rung: str) -> int:
    """Neurons of the anchor that never change, and so cannot match."""
    anchor, partner = layout.points[curve, rung][:2]
    summary = read_json(Path(layout.matches(anchor, partner)).with_name("summary.json"))
    return summary["constant_a" if layout.pair(anchor, partner)[0] == anchor else "constant_b"]


def models_table(layout: Layout) -> pd.DataFrame:
    """One row per model: sizes, training, validation loss, where the weights are."""
    rows = []
    for model in layout.models:
        manifest = read_json(layout.checkpoint_manifest(model))
        scope = next(layout.scope(*pair) for pair in layout.pairs.values() if model in pair)
        summary = read_json(f"{layout.activations(scope, model)}/summary.json")
        sizes = {key: summary[key] for key in ("parameters", "non_embedding_parameters", "layers", "hidden_size")}
        rows.append(
            {
                "model": model,
                "family": layout.family(model),
                "rung": layout.rung(model),
                "architecture": summary["architecture"],
                "source": manifest["source"],
                "modality": manifest["modality"],
                **sizes,
                "neurons": sum(summary["neurons"]),
                "vocabulary": summary["vocabulary"],
                **{
                    key: manifest.get(key)
                    for key in (
                        "seed",
                        "training_tokens",
                        "validation_loss",
                        "validation_bits_per_byte",
                        "train_seconds",
                    )
                },
                "checkpoint": layout.checkpoint(model),
                "sha256": digest(manifest["sha256"]),
            }
        )
    return pd.DataFrame(rows)


def training_table(layout: Layout) -> pd.DataFrame:
    """Training curves: model, family, rung, step, tokens, loss (nats per token)."""
    per_step = layout.study.ladder.batch_sequences * layout.study.ladder.context
    rows = [
        (model, layout.family(model), layout.rung(model), step, step * per_step, loss)
        for model in layout.models
        if layout.is_trained_here(model)
        for step, loss in read_json(layout.checkpoint_manifest(model))["losses"]
    ]
    return pd.DataFrame(rows, columns=["model", "family", "rung", "step", "tokens", "loss"])


def layers_table(layout: Layout) -> pd.DataFrame:
    """Matches of the primary criterion by pair of layers, with what the margins alone would give.

    `expected` is (matches of layer a) * (matches of layer b) / all matches.
    """
    tables = []
    for (curve, rung), members in layout.points.items():
        if len(members) != 2:
            continue
        table = read_table(layout.rosetta(curve, rung))
        table = table[table[layout.study.matching.criteria[0].name]]
        widths = [_summary(layout, curve, rung, i)["neurons"] for i in range(2)]
        layer_b = np.repeat(np.arange(len(widths[1])), widths[1])[table[f"partner_{members[1]}"]]
        matrix = np.zeros([len(width) for width in widths], int)
        np.add.at(matrix, (table.layer, layer_b), 1)
        expected = np.outer(matrix.sum(1), matrix.sum(0)) / max(1, matrix.sum())
        layer_a, layer_b = np.indices(matrix.shape).reshape(2, -1)
        tables.append(
            pd.DataFrame(
                {
                    "curve": curve,
                    "point": rung,
                    "model_a": members[0],
                    "model_b": members[1],
                    "layer_a": layer_a,
                    "layer_b": layer_b,
                    "matches": matrix.ravel(),
                    "expected": expected.ravel(),
                }
            )
        )
    columns = ["curve", "point", "model_a", "model_b", "layer_a", "layer_b", "matches", "expected"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def polarization_table(layout: Layout) -> pd.DataFrame:
    """Rosetta neurons against the others, per model and metric, under the primary criterion.

    In the models that are not the anchor, the Rosetta neurons are the best partners of the anchor's.
    """
    settings, criterion = layout.study.polarization, layout.study.matching.criteria[0].name
    rows = []
    for (curve, rung), members in layout.points.items():
        table = read_table(layout.rosetta(curve, rung))
        chosen = table[table[criterion]]
        for member, model in enumerate(members):
            scope = layout.scope_of_member(curve, rung, member)
            metrics = read_table(layout.neurons(scope, model))
            neurons = chosen.neuron if member == 0 else chosen[f"partner_{model}"]
            rosetta = np.isin(np.arange(len(metrics)), neurons)
            for metric in polarization.METRICS:
                seed = [layout.study.nulls.seed, int(digest([curve, rung, model, metric]), 16)]
                found = polarization.polarization(
                    metrics[metric].to_numpy(),
                    rosetta,
                    metrics.layer.to_numpy(),
                    settings.bootstrap,
                    settings.confidence,
                    seed,
                )
                rows.append(
                    {
                        "curve": curve,
                        "point": rung,
                        "model": model,
                        "metric": metric,
                        "criterion": criterion,
                        **found,
                        "neurons": len(metrics),
                    }
                )
    return pd.DataFrame(rows)


def anchors(layout: Layout, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a polarization table that belong to the anchor of their point."""
    first = {(curve, rung): members[0] for (curve, rung), members in layout.points.items()}
    return table[[first[row.curve, row.point] == row.model for row in table.itertuples()]]


def write_tables(layout: Layout, folder: Path) -> None:
    """Write every table of the study."""
    confidence = layout.study.polarization.confidence
    counts, models, effects = counts_table(layout), models_table(layout), polarization_table(layout)
    fitted = fits.fit_counts(counts, confidence)
    slopes = polarization.trends(anchors(layout, effects), confidence)
    tables = {
        "counts": counts,
        "decomposition": point_tables(layout, "decomposition"),
        "snapshots": point_tables(layout, "snapshots"),
        "seeds": seeds_table(layout, counts),
        "models": models,
        "training": training_table(layout),
        "layers": layers_table(layout),
        "polarization": effects,
        "trends": slopes,
        "fits": fitted,
    }
    for name, table in tables.items():
        write_table(folder / f"{name}.csv", table)
    # The paper's criterion, and the one that asks most of r: the nulls differ most between these two.
    criteria = layout.study.matching.criteria
    judged = dict.fromkeys([criteria[0].name, max(criteria, key=lambda c: (c.min_r, -c.k)).name])
    verdicts = claims.judge(counts, fitted, anchors(layout, effects), slopes, models, list(judged))
    write_json(folder / "claims.json", {"claims": verdicts})
