"""Where Rosetta neurons lie, and which layers match, on points whose answer is counted by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_points import made_point

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.parsing import load
from rosetta_scaling.points.depth import BINS, point_depth, point_diagonal, point_layers
from rosetta_scaling.points.layers import relative_depth, same_depth
from rosetta_scaling.points.point import Point
from rosetta_scaling.units.neurons import layer_and_channel

CHOSEN = "mutual_top1"
WIDTHS = {"neox-r3": [4, 4, 4], "bloom-r3": [3] * 5, "llama-r3": [6, 6]}


def test_depth_goes_from_the_first_layer_to_the_last():
    np.testing.assert_allclose(relative_depth(np.arange(5), 5), [0, 0.25, 0.5, 0.75, 1])
    assert relative_depth(np.zeros(3, int), 1).tolist() == [0, 0, 0]


@settings(max_examples=60)
@given(a=st.integers(1, 40), b=st.integers(1, 40))
def test_the_same_depth_is_the_nearest_one(a, b):
    distance = np.abs(relative_depth(np.arange(a), a)[:, None] - relative_depth(np.arange(b), b))
    same = same_depth(np.arange(a)[:, None], a, np.arange(b), b)
    assert (same.sum(1) == 1).all()
    np.testing.assert_allclose(distance[same], distance.min(1), atol=1e-12)
    if a == b:
        assert (same == np.eye(a, dtype=bool)).all()


@pytest.fixture
def point() -> Point:
    """Three networks of different depth; its neurons are not matched yet."""
    none = {model: rotated() for model in ("bloom-r3", "llama-r3")}
    return made_point(load(WORKFLOW / "studies/smoke.yaml"), WIDTHS, nulls={"rotate": none})


def rotated(*rows) -> pd.DataFrame:
    """(draw, neuron_a, neuron_b)"""
    columns = ["draw", "neuron_a", "neuron_b"]
    return pd.DataFrame(rows, columns=columns, dtype=int).assign(rank_a=1, rank_b=1, r=0.5)


def table(partners: dict[int, tuple[int, int]]) -> pd.DataFrame:
    """Rosetta neurons of the anchor and their partners in bloom and llama; others have partners, too."""
    neurons = sum(WIDTHS["neox-r3"])
    found = pd.DataFrame({"neuron": np.arange(neurons), "layer": layer_and_channel(WIDTHS["neox-r3"])[0]})
    for place, model in enumerate(("bloom-r3", "llama-r3")):
        found[f"partner_{model}"] = [partners.get(n, (0, 0))[place] for n in range(neurons)]
    return found.assign(**{CHOSEN: found.neuron.isin(list(partners)), "mutual_top1_r0.5": True})


PARTNERS = {0: (1, 0), 1: (5, 7), 5: (7, 1), 6: (14, 2), 8: (12, 11), 11: (13, 6)}
# layers of the anchor: 0, 0, 1, 1, 2, 2; of bloom: 0, 1, 2, 4, 4, 4; of llama: 0, 1, 0, 0, 1, 1


def test_shares_of_neurons_by_depth(point):
    found = point_depth(point, table(PARTNERS))
    assert found.model.unique().tolist() == ["neox-r3"]
    places = [0, BINS // 2, BINS - 1]  # the layers lie at 0, 1/2 and 1
    np.testing.assert_allclose(found.depth, (np.array(places) + 0.5) / BINS)
    assert found.rosetta.tolist() == [2, 2, 2]
    few = point_depth(point, table({n: PARTNERS[n] for n in (0, 1, 8)}))
    np.testing.assert_allclose(few.rosetta_share, [2 / 3, 0, 1 / 3])
    np.testing.assert_allclose(few.neurons_share, [1 / 3] * 3)
    assert (point_depth(point, table({})).rosetta_share == 0).all()


def test_matches_by_pair_of_layers_and_what_their_margins_give(point):
    found = point_layers(point, table(PARTNERS))
    assert found.model_a.unique().tolist() == ["neox-r3"]
    assert found.groupby("model_b", sort=False).size().to_dict() == {"bloom-r3": 3 * 5, "llama-r3": 3 * 2}
    cells = {"index": "layer_a", "columns": "layer_b", "values": ["matches", "expected"]}
    bloom, llama = (part.pivot_table(**cells) for _, part in found.groupby("model_b"))
    matrix = [[1, 1, 0, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 2]]
    np.testing.assert_array_equal(bloom.matches, matrix)
    np.testing.assert_array_equal(llama.matches, [[1, 1], [2, 0], [0, 2]])
    np.testing.assert_allclose(bloom.expected, np.outer([2, 2, 2], [1, 1, 1, 0, 3]) / 6)
    for one in (bloom, llama):
        for axis in (0, 1):
            np.testing.assert_allclose(one.expected.sum(axis=axis), one.matches.sum(axis=axis))
    assert (point_layers(point, table({})).expected == 0).all()


def test_the_diagonal_and_partners_dealt_anew(point):
    found = point_diagonal(point, table(PARTNERS)).set_index("model_b")
    assert found.matches.tolist() == [6, 6]
    # bloom's layers at the depths of the anchor's: 0, 2, 4; llama's: 0, 0 (half way: the even one), 1
    assert found.on_diagonal.to_dict() == {"bloom-r3": 4, "llama-r3": 5}
    np.testing.assert_allclose(found.share, [4 / 6, 5 / 6])
    for model, side, nearest in (("bloom-r3", 0, [0, 2, 4]), ("llama-r3", 1, [0, 0, 1])):
        layer = layer_and_channel(WIDTHS[model])[0]
        own = np.array([nearest[n // 4] for n in PARTNERS])
        partners = layer[[both[side] for both in PARTNERS.values()]]
        dealt = [np.mean(own == np.array(order)) for order in itertools.permutations(partners)]
        assert found.expected[model] == pytest.approx(np.mean(dealt))


def test_the_interval_of_the_share_is_wilsons(point):
    found = point_diagonal(point, table(PARTNERS)).iloc[0]
    n, p, z = 6, 4 / 6, 1.959963984540054
    middle, half = (p + z**2 / (2 * n)), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    np.testing.assert_allclose([found.low, found.high], [(middle + s * half) / (1 + z**2 / n) for s in (-1, 1)])


def test_rotated_neurons_are_counted_draw_by_draw(point):
    rows = [(0, 0, 0), (0, 1, 1), (0, 4, 14), (0, 8, 12), (2, 0, 14), (2, 8, 13), (2, 9, 0)]
    found = rotated(*rows)  # draw 0: three of four at the same depth; draw 1: none at all; draw 2: one of three
    chance = pd.DataFrame({"draw": [2, 2], "neuron_a": [9, 10], "neuron_b": [14, 14], "rank_a": [1, 2], "rank_b": 2})
    point.nulls["rotate"].anchored["bloom-r3"] = pd.concat([found, chance.assign(r=0.9)], ignore_index=True)
    row = point_diagonal(point, table(PARTNERS)).set_index("model_b")
    np.testing.assert_allclose(row.rotated["bloom-r3"], (3 / 4 + 1 / 3) / 2)
    np.testing.assert_allclose(row.rotated_low["bloom-r3"], 1 / 3)
    np.testing.assert_allclose(row.rotated_high["bloom-r3"], 3 / 4)
    assert row.loc["llama-r3", ["rotated", "rotated_low", "rotated_high"]].isna().all()


def test_no_matches_have_no_share(point):
    found = point_diagonal(point, table({}))
    assert found.matches.tolist() == found.on_diagonal.tolist() == [0, 0]
    assert found[["share", "low", "high", "expected", "rotated"]].isna().all(axis=None)


def test_a_match_that_is_not_mutual_is_in_no_layer(point):
    """By a criterion that does not ask for it, a Rosetta neuron may have no mutual partner; it is then -1."""
    one_sided = table(PARTNERS | {11: (-1, 6)})
    layers = point_layers(point, one_sided)
    assert layers.groupby("model_b").matches.sum().to_dict() == {"bloom-r3": 5, "llama-r3": 6}
    assert point_diagonal(point, one_sided).matches.tolist() == [5, 6]
