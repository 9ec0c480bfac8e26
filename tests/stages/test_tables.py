"""Points, fits and claims about counts, on numbers whose answer is known."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_points import made_point
from schema_rows import rows_of
from scipy import stats

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.matching import Criterion
from rosetta_scaling.config.parsing import load, parse
from rosetta_scaling.fits.counts import fit_counts
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.points import neurons as neurons_of_points
from rosetta_scaling.points.neurons import point_neurons
from rosetta_scaling.points.rosetta import orient, rosetta_table
from rosetta_scaling.power_laws.estimators import fit_power_law, predict_power_law
from rosetta_scaling.schemas.names import POINT_TABLES, UNMARKED
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS
from rosetta_scaling.schemas.tables.points import OF_POINT, ROSETTA
from rosetta_scaling.stages import point_tables, points, tables
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table, write_json, write_table
from rosetta_scaling.units.groups import displacements

TOP1, TOP2 = Criterion(), Criterion(k=2)


def matches(*rows) -> pd.DataFrame:
    """(neuron_a, neuron_b, r, rank_a, rank_b)"""
    return pd.DataFrame(rows, columns=["neuron_a", "neuron_b", "r", "rank_a", "rank_b"]).assign(mark_a=UNMARKED)


# -- points ----------------------------------------------------------------------------------------------------------


def test_a_rosetta_neuron_is_matched_in_every_model_and_strictly_when_the_others_agree():
    ab = matches((0, 10, 0.9, 1, 1), (1, 11, 0.6, 1, 1), (2, 12, 0.4, 1, 1))
    ac = matches((0, 20, 0.8, 1, 1), (1, 21, 0.7, 1, 1), (3, 23, 0.9, 1, 1))
    bc = matches((10, 20, 0.7, 1, 1), (11, 29, 0.7, 1, 1))
    half = Criterion(min_r=0.65)
    table = rosetta_table(5, {"B": ab, "C": ac}, {("B", "C"): bc}, [TOP1, half])
    assert table.mutual_top1.tolist() == [True, True, False, False, False]
    assert table.mutual_top1_strict.tolist() == [True, False, False, False, False]
    assert table["mutual_top1_r0.65"].tolist() == [True, False, False, False, False]
    assert table.partner_B.tolist() == [10, 11, 12, -1, -1]


def test_matches_found_at_a_larger_k_give_the_smaller_one():
    found = matches((0, 5, 0.9, 1, 1), (1, 5, 0.8, 1, 2), (1, 6, 0.7, 2, 1))
    table = rosetta_table(3, {"B": found}, {}, [TOP1, TOP2])
    assert table.mutual_top1.tolist() == [True, False, False]
    assert table.mutual_top2.tolist() == [True, True, False]
    assert table.partner_B.tolist() == [5, 5, -1]


def test_partners_meet_the_first_criterion_or_else_are_mutual():
    found = matches((0, 5, 0.9, 1, 0), (0, 6, 0.8, 2, 1), (1, 7, 0.7, 1, 1), (2, 8, 0.6, 1, 0), (3, 9, 0.5, 2, 2))
    assert rosetta_table(4, {"B": found}, {}, [TOP1]).partner_B.tolist() == [6, 7, -1, 9]
    one_sided = rosetta_table(4, {"B": found}, {}, [Criterion(mutual=False)])
    assert one_sided.partner_B.tolist() == [5, 7, 8, 9]
    assert one_sided[Criterion(mutual=False).name].tolist() == [True, True, True, False]


def test_orient_exchanges_the_sides_and_back():
    found = matches((0, 5, 0.9, 1, 2))
    swapped = orient(found, swap=True)
    assert (swapped.neuron_a[0], swapped.neuron_b[0], swapped.rank_a[0], swapped.rank_b[0]) == (5, 0, 2, 1)
    assert orient(swapped, swap=True)[found.columns.tolist()].equals(found)


def test_displacements_end_at_documents():
    doc = np.repeat(np.arange(40), np.random.default_rng(0).integers(3, 30, 40))
    places = displacements(doc, 5, seed=1)
    assert len(set(places)) == 5
    assert (doc[places] != doc[places - 1]).all()
    assert (places >= len(doc) // 4).all()
    assert (places <= 3 * len(doc) // 4).all()
    with pytest.raises(StudyError, match="too few"):
        displacements(np.array([0, 0, 1, 1]), 5, seed=1)


@pytest.fixture
def plan(tmp_path, monkeypatch) -> StudyPlan:
    """Of the smoke study, every pair of which has its own units; nothing is in its folder."""
    monkeypatch.chdir(tmp_path)
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    values["units"]["scope"] = "pair"
    values["matching"]["criteria"] = [{}, {"min_r": 0.5}]
    return StudyPlan(Layout(parse(values), corpus_key="k"))


def test_the_widths_of_a_point_are_those_of_its_activations(plan):
    folder = "results/smoke/activations"
    write_json(f"{folder}/neox-r3--bloom-r3/neox-r3/summary.json", {"neurons": [4, 3]})
    write_json(f"{folder}/neox-r3--bloom-r3/bloom-r3/summary.json", {"neurons": [5]})
    write_json(f"{folder}/neox-r3--llama-r3/llama-r3/summary.json", {"neurons": [1, 2, 3]})
    widths = point_tables.read_widths(plan.layout, "neox-bloom-llama", "r3")
    assert widths == {"neox-r3": [4, 3], "bloom-r3": [5], "llama-r3": [1, 2, 3]}
    assert list(widths) == ["neox-r3", "bloom-r3", "llama-r3"]


def test_the_table_of_a_point_places_its_neurons_and_marks_what_survives(plan):
    found = matches(*((i, j, 0.9, 1, 1) for i, j in ((0, 2), (2, 3), (3, 1), (6, 0))))
    real = dict.fromkeys("bc", found.assign(mark_a=["none", "massive", "none", "none"]))
    weak = matches((0, 2, 0.1, 1, 1), (2, 3, 0.1, 1, 1), (3, 1, 0.95, 1, 1), (6, 0, 0.1, 1, 1))
    decoys = pd.concat([weak.assign(draw=draw, changed="b") for draw in range(40)])
    widths = {"a": [4, 3], "b": [5], "c": [6]}
    table = point_neurons(made_point(plan.study, widths, real, {CENTRAL: dict.fromkeys("bc", decoys)}))
    assert table.columns[:4].tolist() == ["neuron", "layer", "channel", "mark"]
    assert table.layer.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert table.channel.tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert np.flatnonzero(table.mutual_top1).tolist() == [0, 2, 3, 6]
    assert np.flatnonzero(table.mark == "massive").tolist() == [2]
    assert np.flatnonzero(table.mutual_top1_fdr05).tolist() == [0, 6]
    assert set(plan.study.judged_sets) <= set(table.columns)


def test_a_point_is_written_with_all_its_tables(plan, monkeypatch):
    neurons = rows_of(ROSETTA, 2, neuron=[0, 1])
    monkeypatch.setattr(point_tables, "read_point", lambda *about: "point" if about == (plan, "c", "r3") else None)
    monkeypatch.setattr(neurons_of_points, "point_neurons", lambda point: neurons if point == "point" else None)
    for name in ("counts", "lists", "snapshots", "layers", "depth", "diagonal"):
        made = partial(lambda schema, _, table: rows_of(schema, len(table)), OF_POINT[name])
        monkeypatch.setattr(point_tables, f"point_{name}", made)
    for name in ("above_r", "planted", "decomposition", "isolation", "recurrence"):
        monkeypatch.setattr(
            point_tables, f"point_{name}", partial(lambda schema, _: rows_of(schema, 2), OF_POINT[name])
        )
    paths = {name: f"{name}.csv" for name in POINT_TABLES}
    points.write_rosetta(plan, "c", "r3", "rosetta.parquet", tables=paths)
    pd.testing.assert_frame_equal(read_table("rosetta.parquet"), neurons)
    for name in POINT_TABLES:
        written = read_table(paths[name])
        assert list(written) == OF_POINT[name].names
        assert len(written) == 2


def test_tables_of_curves_are_joined_in_the_order_of_the_study(plan):
    for i, curve in enumerate(plan.study.curves):
        table = pd.DataFrame({"curve": [curve] * 2, "slope": [i, i + 0.5]})
        write_table(plan.layout.polarization(curve, "trends"), table)
    found = tables.curve_tables(plan.layout, "trends")
    assert found.curve.unique().tolist() == list(plan.study.curves)
    assert found.slope.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert found.index.tolist() == list(range(6))


def test_a_study_is_judged_on_its_strongest_criterion_too():
    study = load(WORKFLOW / "studies/smoke.yaml")
    assert study.judged == ["mutual_top1", "mutual_top1_r0.5"]
    assert study.judged_sets == ["mutual_top1", "mutual_top1_r0.5", "mutual_top1_fdr05"]
    values = study.model_dump(mode="json")
    values["matching"]["criteria"] = [{"min_r": 0.5}, {"min_r": 0.2}, {"k": 3, "min_r": 0.5}]
    assert parse(values).judged_sets == ["mutual_top1_r0.5", "mutual_top1_r0.5_fdr05"]


# -- fits ------------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(alpha=st.floats(-2, 2), c=st.floats(1e-3, 1e3))
def test_a_noise_free_law_comes_back_exactly(alpha, c):
    x = np.array([192, 384, 768, 1536, 3072])
    fit = fit_power_law(x, c * x**alpha)
    assert fit["alpha"] == pytest.approx(alpha, abs=1e-9)
    assert fit["c"] == pytest.approx(c, rel=1e-6)


@pytest.mark.parametrize("points", [3, 5])
def test_the_interval_covers_at_its_nominal_rate(points):
    rng, x, covered = np.random.default_rng(0), 2.0 ** np.arange(7, 7 + points), []
    for _ in range(2000):
        fit = fit_power_law(x, 3 * x**0.6 * np.exp(rng.normal(0, 0.2, points)))
        covered.append(fit["low"] < 0.6 < fit["high"])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("at", [12, 320])
def test_a_prediction_interval_covers_one_more_observation(at):
    rng, x, covered = np.random.default_rng(0), np.array([4.0, 8.0, 16.0, 32.0]), []
    for _ in range(2000):
        y = 3 * np.append(x, at) ** 0.4 * np.exp(rng.normal(0, 0.1, 5))
        middle, low, high = predict_power_law(x, y[:4], at)
        covered.append(low < y[4] < high)
        assert low < middle < high
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    assert predict_power_law(x, 2 * x**0.5, 64)[0] == pytest.approx(16)


def counts_of(count, untrained, shift, curve="c") -> pd.DataFrame:
    n, nulls = len(count), {f"null_{null}": 0.0 for null in (*NULLS, "iid")}
    table = pd.DataFrame({
        "curve": curve, "criterion": "mutual_top1", "count": count, **nulls,
        "null_untrained": untrained, "null_permute": shift,
        "calibrated_05": np.array(count) // 2, "calibrated_01": np.array(count) // 3,
        "beyond_decoys": np.array(count) / 4,
        "corrected": np.array(count) / 4,
        "equal_n_count": 20.0 / 2.0 ** np.arange(n) * np.resize([1, 1.1], n), "equal_n_null": 3.0,
        "count_low": np.array(count) * 0.9, "count_high": np.array(count) * 1.1,
        "neurons": 2.0 ** np.arange(7, 7 + n), "parameters": 4.0 ** np.arange(7, 7 + n),
        "non_embedding_parameters": 5.0 ** np.arange(7, 7 + n),
        "hidden_size": 2.0 ** np.arange(3, 3 + n), "training_flops": np.nan,
    })  # fmt: skip
    return table.assign(excess=table["count"] - table[list(nulls)].max(axis=1))


def test_zero_counts_are_left_out_and_said_so():
    fits = fit_counts(counts_of([10, 20, 40, 80], [0, 0, 3, 5], [1, 2, 3, 4]), 0.95)
    row = fits[(fits.quantity == "null_untrained") & (fits.x == "neurons")].iloc[0]
    assert np.isnan(row.alpha)
    assert "2 of 4 points left out" in row.note
    excess = fits[(fits.quantity == "excess") & (fits.x == "neurons")].iloc[0]
    slope = stats.linregress(np.log([128, 256, 512, 1024]), np.log([9, 18, 37, 75])).slope
    assert excess.alpha == pytest.approx(slope)


def test_too_few_points_and_zeros_are_refused():
    with pytest.raises(StudyError, match="at least 3"):
        fit_power_law([1, 2], [1, 2])
    with pytest.raises(StudyError, match="not positive"):
        fit_power_law([1, 2, 3], [1, 0, 2])


def test_the_tables_declare_the_summary_of_every_network_also_of_those_without_a_curve(plan):
    values = plan.study.model_dump(mode="json")
    values["families"]["further"] = {"source": "continued", "of": "neox", "tokens": 5_000, "seed": 9}
    layout = Layout(parse(values), corpus_key="k")
    declared = tables.table_inputs(StudyPlan(layout))
    files = {file for files in declared.values() for file in files}
    assert len(layout.models) == 12
    assert {layout.summary(tables.scope_of_model(layout, model), model) for model in layout.models} <= files
