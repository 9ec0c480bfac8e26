"""The registries of nulls, metrics and tables: what they say is what every room does, and gaps are refused."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.counts import judge_counts
from rosetta_scaling.config.nulls import Nulls
from rosetta_scaling.report.cells import label_of
from rosetta_scaling.report.counts import counts_cells
from rosetta_scaling.report.figures.catalogue import FIGURES
from rosetta_scaling.report.figures.counts import draw_counts, draw_decomposition
from rosetta_scaling.report.figures.data import decomposed, decomposition_data, fraction_data
from rosetta_scaling.schemas import names
from rosetta_scaling.schemas.metrics import METRICS
from rosetta_scaling.schemas.nulls import NULLS, Look, NullKind, drawn_nulls, require_complete
from rosetta_scaling.schemas.tables import images, points, selectivity
from rosetta_scaling.schemas.tables.catalogue import CHAPTERS, STUDY
from rosetta_scaling.schemas.tables.fits import FIT_TABLES
from rosetta_scaling.schemas.tables.reference import export
from rosetta_scaling.schemas.tables.schema import TableSchema, number, text, truth, whole, write_checked_table
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table

MIRRORED = NullKind(
    name="mirror",
    label="mirrored units",
    adjective="mirrored",
    meaning="units in the opposite order",
    look=Look("^", 20),
    part=9,
)

# -- nulls -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirrored(monkeypatch):
    monkeypatch.setitem(NULLS, "mirror", MIRRORED)


def counts_of_a_curve() -> pd.DataFrame:
    """Counts of three points; every null has numbers of its own."""
    sizes = np.array([100, 200, 400])
    table = {"curve": "a--b", "point": ["r1", "r2", "r3"], "criterion": "mutual_top1", "anchor": "a", "neurons": sizes}
    table |= {"count": sizes // 2, "anchor_neurons": sizes, "fraction": 0.5, "excess": sizes // 4, "mean_r": 0.5}
    table |= {"models": ["a-r1 b-r1", "a-r2 b-r2", "a-r3 b-r3"], "equal_n_count": 3.0}
    table |= {"null_iid": 3.0, "constant_neurons": 0, "calibrated_05": sizes // 5, "count_low": sizes // 3}
    table |= {"fit_alpha": 1.0, "fit_c": 0.5, "fit_low": 0.9, "fit_high": 1.1, "fit_points": 3, "count_high": sizes}
    for i, null in enumerate(NULLS.values(), 1):
        table |= dict(zip(null.columns, (i * 1.0, i - 0.5, i + 0.5), strict=True))
    return pd.DataFrame(table)


def test_a_new_entry_is_in_labels_figures_and_tables(mirrored):
    counts, last = counts_of_a_curve(), len(NULLS)
    assert label_of("null_mirror") == "null: mirrored units"
    assert decomposed()["null_mirror"] == "null: mirrored units"
    assert drawn_nulls()[-1][0] is MIRRORED
    shown = counts_cells(counts, {"curve": "curve"})
    place = [header for header, _ in shown["columns"]].index("null: mirror")
    assert [row[place] for row in shown["rows"]] == [f"{last} [{last - 0.5}, {last + 0.5}]"] * 3
    assert (fraction_data(counts)["null_mirror_fraction"] == last / counts["neurons"]).all()
    figure = draw_counts(counts)
    assert "null: mirrored units" in [words.get_text() for words in figure.legends[0].get_texts()]
    marks = [marks.get_offsets().tolist() for marks in figure.axes[0].collections if hasattr(marks, "get_sizes")]
    assert [[size, float(last)] for size in counts["neurons"]] in marks
    fits = pd.DataFrame(columns=["curve", "criterion", "quantity", "x", "alpha"])
    data = decomposition_data(counts, fits)
    assert len(draw_decomposition(data).axes[0].lines) == len(decomposed())
    assert set(MIRRORED.columns) <= {column.name for column in points.columns_of_nulls()}


def test_a_null_of_trained_networks_can_refute_a_count(mirrored):
    counts = counts_of_a_curve().assign(null_mirror=1000.0, null_mirror_high=1001.0)
    tables = {"counts": counts, "models": pd.DataFrame(columns=["validation_bits_per_byte", "validation_loss"])}
    claim = next(one for one in judge_counts(tables, ["mutual_top1"]) if "not an artefact" in one.words)
    assert claim.verdict == "not supported"
    assert "(shifted, permuted, Gaussian, rotated before the nonlinearity, rotated, mirrored)" in claim.sentence


@pytest.mark.parametrize(
    ("module", "place"), [("config.study", "config: nulls"), ("nulls.transforms", "nulls/transforms.py")]
)
def test_a_place_that_does_not_know_a_null_stops_the_import(module, place):
    code = "from rosetta_scaling.schemas.nulls import NULLS, NullKind\n"
    code += "NULLS['mirror'] = NullKind('mirror', 'mirrored units', 'mirrored', 'units in the opposite order')\n"
    if module != "config.study":  # the configuration would refuse it first
        code = "import rosetta_scaling.config.study\n" + code
    done = subprocess.run(
        [sys.executable, "-c", f"{code}import rosetta_scaling.{module}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{place} does not know the null 'mirror' of schemas/nulls.py" in done.stderr


def test_a_place_that_knows_more_is_refused_too():
    with pytest.raises(StudyError, match="'mirror', which is no null"):
        require_complete([*NULLS, "mirror"], "config: nulls")


def test_the_configuration_draws_every_null_once():
    assert all(Nulls().draws(null) >= 1 for null in NULLS)


# -- metrics and figures ---------------------------------------------------------------------------------------------


def test_metrics_and_what_chance_takes_off_them_are_columns_of_the_table_of_neurons():
    columns = {column.name for column in selectivity.NEURON_TABLE.columns}
    of_both = {metric.name for metric in METRICS.values() if len(metric.modalities) == 2}
    assert of_both <= set(selectivity.NEURON_TABLE.names) < columns, "the others are only in tables of one modality"
    assert set(METRICS) <= columns
    assert {metric.null for metric in METRICS.values() if metric.null} <= columns


def test_every_figure_has_a_place_a_caption_and_tables_that_exist():
    for entry in FIGURES.values():
        template, _, _ = entry.place.partition(": ")
        assert f'figures_at("{entry.place}")' in (WORKFLOW / "report" / f"{template}.j2").read_text(), entry.name
        assert (WORKFLOW / "report" / "captions" / f"{entry.name}.rst").read_text().strip()
        assert set(entry.tables) <= {*STUDY, "claims"}


# -- tables ----------------------------------------------------------------------------------------------------------

SCHEMA = TableSchema(
    name="stars",
    file="tables/stars.csv",
    rule="stars",
    rows="a star",
    columns=(
        text("name", "what it is called"),
        whole("planets", "planets that were found", "planets"),
        number("mass", "its mass", "suns"),
        truth("double", "are there two?", missing=True),
        number("age", "its age", "years", optional=True),
        number("light_COLOUR", "light of a colour", pattern="light_.+"),
    ),
)
STARS = pd.DataFrame({"name": ["a", "b"], "planets": [0, 8], "mass": [1.0, np.nan], "double": [True, np.nan]})


def test_a_table_that_fits_is_written_as_it_is(tmp_path):
    table = STARS.assign(light_red=0.5)
    write_checked_table(tmp_path / "stars.csv", table, SCHEMA)
    pd.testing.assert_frame_equal(read_table(tmp_path / "stars.csv"), table, check_dtype=False)
    SCHEMA.check(STARS.assign(age=3))
    SCHEMA.check(SCHEMA.empty())
    assert list(SCHEMA.empty()) == ["name", "planets", "mass", "double"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (STARS.drop(columns="mass"), "tables/stars.csv: the column 'mass' is missing"),
        (STARS.assign(colour="red"), "tables/stars.csv: the column 'colour' is not described"),
        (STARS.assign(planets=[0.5, 1]), "'planets' holds float64 .*but a whole number was expected"),
        (STARS.assign(planets=[True, False]), "'planets' holds bool"),
        (STARS.assign(planets=[np.nan, 1]), "'planets' has rows without a value"),
        (STARS.assign(mass=["heavy", "light"]), "'mass' holds .*'heavy'.*but a number was expected"),
        (STARS.assign(name=[1, 2]), "'name' holds int64 .*but text was expected"),
        (STARS.assign(double=["yes", "no"]), "'double' holds .*but true or false was expected"),
    ],
)
def test_a_table_that_does_not_fit_is_named_with_its_column_and_not_written(tmp_path, table, words):
    with pytest.raises(StudyError, match=words):
        write_checked_table(tmp_path / "stars.csv", table, SCHEMA)
    assert not list(tmp_path.iterdir())


def test_the_reference_of_tables_is_current():
    for path, written in export().items():
        assert path.read_text(encoding="utf-8") == written, (
            f"run python -m rosetta_scaling.schemas.tables.reference: {path}"
        )


def test_names_of_tables_are_those_of_the_schemas():
    assert set(names.POINT_TABLES) == set(points.OF_POINT)
    assert set(names.POLARIZATION_TABLES) == set(selectivity.OF_CURVE)
    assert tuple(FIT_TABLES) == names.FIT_TABLES
    assert {*names.STUDY_TABLES, *names.FIT_TABLES, "power", "settled"} == set(STUDY)


def test_no_file_is_described_twice_and_no_column_lacks_its_meaning():
    schemas = [schema for chapter in CHAPTERS.values() for schema in chapter]
    files = [schema.file for schema in schemas if schema not in images.OF_IMAGES.values()]  # these take their places
    assert len(set(files)) == len(files)
    for schema in schemas:
        every = [column.name for column in schema.columns]
        assert len(set(every)) == len(every), schema.file
        assert all(column.meaning and column.name for column in schema.columns), schema.file
