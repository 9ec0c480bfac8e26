"""Where in the networks Rosetta neurons lie: by relative depth, and which layers of two networks match."""

import numpy as np
import pandas as pd

from rosetta_scaling.numerics import intervals
from rosetta_scaling.numerics.intervals import Estimate
from rosetta_scaling.points.layers import MatchedLayers, on_diagonal, relative_depth
from rosetta_scaling.points.point import Point
from rosetta_scaling.points.rosetta import satisfying
from rosetta_scaling.units.neurons import layer_and_channel

BINS = 12  # of relative depth, as in the paper


def point_depth(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """Rosetta neurons and all neurons of the anchor by bin of relative depth, and the share of either set there."""
    layers = len(point.widths[point.anchor])
    place = np.minimum((relative_depth(table.layer.to_numpy(), layers) * BINS).astype(int), BINS - 1)
    every = np.bincount(place, minlength=BINS)
    rosetta = np.bincount(place[table[point.primary.name]], minlength=BINS)
    shares = {"rosetta_share": rosetta / max(1, rosetta.sum()), "neurons_share": every / every.sum()}
    bins = pd.DataFrame({"model": point.anchor, "depth": (np.arange(BINS) + 0.5) / BINS, "rosetta": rosetta} | shares)
    return bins[every > 0].reset_index(drop=True)


def matched_layers(point: Point, table: pd.DataFrame) -> dict[str, MatchedLayers]:
    """Layers of the Rosetta neurons of the primary criterion and of their mutual partners, for every other model."""
    rosetta, depth, found = table[table[point.primary.name]], len(point.widths[point.anchor]), {}
    for model in point.others:
        layer, _ = layer_and_channel(point.widths[model])
        chosen = rosetta[rosetta[f"partner_{model}"] >= 0]
        partner = layer[chosen[f"partner_{model}"]]
        found[model] = MatchedLayers(chosen.layer.to_numpy(), depth, partner, len(point.widths[model]))
    return found


def point_layers(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """Matches of the primary criterion by pair of layers, with what the margins alone would give.

    Columns: model_a, model_b, and those of MatchedLayers.matrix.
    """
    tables = []
    for model, layers in matched_layers(point, table).items():
        matrix = layers.matrix()
        matrix.insert(0, "model_a", point.anchor)
        matrix.insert(1, "model_b", model)
        tables.append(matrix)
    return pd.concat(tables, ignore_index=True)


def point_diagonal(point: Point, table: pd.DataFrame) -> pd.DataFrame:
    """Share of matches between layers of the same relative depth, with its interval; against two nulls.

    `expected`: partners dealt anew among the matches. `rotated`: matches with rotated neurons, which stay in their
    layers: what the subspaces of layers alone give, with the lowest and highest draw.
    """
    rows = []
    for model, layers in matched_layers(point, table).items():
        n, on = len(layers.a), int(layers.at_same_depth().sum())
        low, high = intervals.of_share(on, n, point.confidence)
        shares = [margin / max(1, n) for margin in layers.margins()]
        row = {"model_a": point.anchor, "model_b": model, "matches": n, "on_diagonal": on}
        row |= {"share": on / n if n else np.nan, "low": low, "high": high}
        row["expected"] = on_diagonal(*shares) if n else np.nan
        rows.append(row | rotated_share(point, model).columns("rotated"))
    return pd.DataFrame(rows)


def rotated_share(point: Point, model: str) -> Estimate:
    """Share of matches with rotated neurons that are at the same depth: mean, lowest and highest of the draws."""
    pairs = satisfying(point.nulls["rotate"].anchored[model], point.primary)
    if not len(pairs):
        return Estimate.unknown()
    widths = [point.widths[name] for name in (point.anchor, model)]
    layer_a, layer_b = (layer_and_channel(one)[0] for one in widths)
    layers = MatchedLayers(layer_a[pairs.neuron_a], len(widths[0]), layer_b[pairs.neuron_b], len(widths[1]))
    shares = pd.Series(layers.at_same_depth()).groupby(pairs.draw.to_numpy()).mean().to_numpy()
    return Estimate(np.mean(shares), np.min(shares), np.max(shares))
