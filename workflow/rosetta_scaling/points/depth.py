"""Where in the networks Rosetta neurons lie: by relative depth, and which layers of two networks match."""

import numpy as np
import pandas as pd

from rosetta_scaling.numerics import intervals
from rosetta_scaling.points.point import Point
from rosetta_scaling.points.rosetta import satisfying
from rosetta_scaling.units.neurons import layer_and_channel

BINS = 12  # of relative depth, as in the paper


def relative_depth(layer: np.ndarray, layers: int) -> np.ndarray:
    """Layer / (layers - 1): 0 first, 1 last (the paper's section E.3); 0 for a network of one layer."""
    return layer / max(1, layers - 1)


def same_depth(layer_a: np.ndarray, layers_a: int, layer_b: np.ndarray, layers_b: int) -> np.ndarray:
    """Is layer b the one whose relative depth is nearest to that of layer a?"""
    return layer_b == np.rint(relative_depth(layer_a, layers_a) * (layers_b - 1)).astype(int)


def point_depth(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """Rosetta neurons and all neurons of the anchor by bin of relative depth, and the share of either set there."""
    name, layers = point.layout.study.matching.criteria[0].name, len(point.widths[point.anchor])
    place = np.minimum((relative_depth(table.layer.to_numpy(), layers) * BINS).astype(int), BINS - 1)
    every = np.bincount(place, minlength=BINS)
    rosetta = np.bincount(place[table[name]], minlength=BINS)
    shares = {"rosetta_share": rosetta / max(1, rosetta.sum()), "neurons_share": every / every.sum()}
    found = pd.DataFrame({"model": point.anchor, "depth": (np.arange(BINS) + 0.5) / BINS, "rosetta": rosetta} | shares)
    return found[every > 0].reset_index(drop=True)


def partner_layers(point: Point, table: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Layers of the Rosetta neurons of the primary criterion and of their mutual partners, for every other model."""
    rosetta, found = table[table[point.layout.study.matching.criteria[0].name]], {}
    for model in point.others:
        layer, _ = layer_and_channel(point.widths[model])
        chosen = rosetta[rosetta[f"partner_{model}"] >= 0]
        found[model] = chosen.layer.to_numpy(), layer[chosen[f"partner_{model}"]]
    return found


def point_layers(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """Matches of the primary criterion by pair of layers, with what the margins alone would give.

    `expected` is (matches of layer a) * (matches of layer b) / all matches.
    """
    tables = []
    for model, (layer_a, layer_b) in partner_layers(point, table).items():
        matrix = np.zeros([len(point.widths[point.anchor]), len(point.widths[model])], int)
        np.add.at(matrix, (layer_a, layer_b), 1)
        expected = np.outer(matrix.sum(1), matrix.sum(0)) / max(1, matrix.sum())
        a, b = np.indices(matrix.shape).reshape(2, -1)
        columns = {"model_a": point.anchor, "model_b": model, "layer_a": a, "layer_b": b}
        tables.append(pd.DataFrame(columns | {"matches": matrix.ravel(), "expected": expected.ravel()}))
    return pd.concat(tables, ignore_index=True)


def point_diagonal(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """Share of matches between layers of the same relative depth, with its interval; against two nulls.

    `expected`: partners dealt anew among the matches. `rotated`: matches with rotated neurons, which stay in their
    layers: what the subspaces of layers alone give, with the lowest and highest draw.
    """
    criterion, rows = point.layout.study.matching.criteria[0], []
    depth = len(point.widths[point.anchor])
    for model, (layer_a, layer_b) in partner_layers(point, table).items():
        others = len(point.widths[model])
        n, on = len(layer_a), int(same_depth(layer_a, depth, layer_b, others).sum())
        bounds = intervals.of_share(on, n, point.layout.study.polarization.confidence)
        shares = np.bincount(layer_a, minlength=depth) / max(1, n), np.bincount(layer_b, minlength=others) / max(1, n)
        on_diagonal = same_depth(np.arange(depth)[:, None], depth, np.arange(others), others)
        expected = shares[0] @ on_diagonal @ shares[1] if n else np.nan
        rotated = _rotated_share(point, model, criterion)
        row = {"model_a": point.anchor, "model_b": model, "matches": n, "on_diagonal": on}
        row |= {"share": on / n if n else np.nan, "low": bounds[0], "high": bounds[1], "expected": expected}
        names, ends = ("rotated", "rotated_low", "rotated_high"), (np.mean, np.min, np.max)
        values = [end(rotated) if len(rotated) else np.nan for end in ends]
        rows.append(row | dict(zip(names, values, strict=True)))
    return pd.DataFrame(rows)


def _rotated_share(point: Point, model: str, criterion) -> np.ndarray:
    """Share of matches with rotated neurons that are at the same depth, in every draw that has any."""
    pairs = satisfying(point.nulls["rotate"][0][model], criterion)
    layer_a, layer_b = (layer_and_channel(point.widths[name])[0] for name in (point.anchor, model))
    a, b = layer_a[pairs.neuron_a], layer_b[pairs.neuron_b]
    on = same_depth(a, len(point.widths[point.anchor]), b, len(point.widths[model]))
    return pd.Series(on).groupby(pairs.draw.to_numpy()).mean().to_numpy()
