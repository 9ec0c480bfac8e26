"""Figures of fits show the numbers of their tables."""

import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from fitted_studies import fitted, fitted_tables
from judged_fits import ROBUST
from planted_counts import COUNT, CURVES, HALF, NEURONS, TOP1, a_study, counts_of, line, only

from rosetta_scaling.claims.fits import judge_fits
from rosetta_scaling.claims.verdicts import INCONCLUSIVE
from rosetta_scaling.fits.checklist import read_checked
from rosetta_scaling.fits.report import MEANING
from rosetta_scaling.fits.tables import estimators_table, rivals_table
from rosetta_scaling.report import fits as fit_cells
from rosetta_scaling.report.figures import fits as fit_figures
from rosetta_scaling.report.figures import theory as theory_figures
from rosetta_scaling.report.figures.data import counted
from rosetta_scaling.report.figures.fits import multiverse_data, rivals_data
from rosetta_scaling.report.figures.style import COLOURS
from rosetta_scaling.schemas.nulls import NULLS

pytestmark = pytest.mark.slow(1)


@pytest.fixture
def tables(fitted_folder) -> dict[str, pd.DataFrame]:
    return fitted_tables(fitted_folder)


def drawings(tables: dict[str, pd.DataFrame]) -> dict:
    """Every figure of fits as make_figures draws it: its function and its rows."""
    counts = tables["counts"]
    primary = counts.criterion.iloc[0]
    return {
        "estimators": (fit_figures.draw_estimators, counted(tables["estimators"], primary)),
        "rivals": (fit_figures.draw_rivals, rivals_data(counts, tables["rivals"])),
        "coverage": (fit_figures.draw_coverage, counted(tables["coverage"], primary)),
        "multiverse": (
            fit_figures.draw_multiverse,
            multiverse_data(tables["fits"], tables["estimators"], tables["pooled"]),
        ),
        "simulation": (theory_figures.draw_simulation, tables["theory_simulation"]),
        "isolation": (
            theory_figures.draw_isolation,
            theory_figures.isolation_data(tables["isolation"], counts, tables["theory"]),
        ),
        "forecast": (fit_figures.draw_forecast, counted(tables["forecast"], primary)),
    }


def words_of(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def dots(axes) -> list[tuple]:
    """x, y of all scattered markers and of all lines that have markers."""
    found = [
        tuple(xy) for marks in axes.collections if hasattr(marks, "get_sizes") for xy in marks.get_offsets().tolist()
    ]
    marked = [one for one in axes.lines if one.get_marker() not in ("None", None, "")]
    return found + [xy for one in marked for xy in zip(*one.get_data(), strict=True)]


def test_every_exponent_is_among_all_choices(tables):
    without = tables["pooled"].assign(without="neox")
    data = multiverse_data(tables["fits"], tables["estimators"], pd.concat([tables["pooled"], without]))
    fits = tables["fits"].dropna(subset="alpha")
    own = fits[
        fits.quantity.isin(["count", "excess", "calibrated_05", "calibrated_01", "beyond_decoys"])
        | fits.quantity.str.startswith("null_")
    ]
    others = tables["estimators"].dropna(subset="alpha").query("estimator != 'ols'")
    together = tables["pooled"].query("without == 'none'")
    assert len(data) == len(own) + len(others) + len(together)
    kinds = {"count": "counts", "excess": "excess"}
    assert all(row.kind == kinds.get(row.quantity, "nulls") for row in data.itertuples())
    assert set(data.kind) == {"counts", "excess", "nulls"}
    assert data.groupby("kind").alpha.is_monotonic_increasing.all()
    figure = fit_figures.draw_multiverse(data)
    drawn = sorted(y for axes in figure.axes for _, y in dots(axes))
    np.testing.assert_allclose(drawn, np.sort(data.alpha))
    assert [len(dots(axes)) for axes in figure.axes] == [(data.x == "neurons").sum(), (data.x != "neurons").sum()]
    assert figure.axes[0].get_ylim()[0] <= -0.1
    assert figure.axes[0].get_ylim()[1] >= 1.2


def test_estimators_that_disagree_are_seen(tables):
    rows = counted(tables["estimators"], TOP1)
    assert set(rows.criterion) == {TOP1}
    assert set(rows.quantity) == {"count"}
    rows["agrees"] = rows.agrees.astype(object)
    rows.loc[1, "agrees"] = False
    rows.loc[2, ["agrees", "low", "high"]] = np.nan
    figure = fit_figures.draw_estimators(rows)
    assert [axes.get_title().split("\n")[0] for axes in figure.axes] == list(CURVES)
    shades = [
        matplotlib.colors.to_hex(marks.get_facecolor()[0])
        for marks in figure.axes[0].collections
        if hasattr(marks, "get_sizes")
    ]
    assert shades == [COLOURS[0], COLOURS[3], *[COLOURS[0]] * 3]
    assert [x for x, _ in dots(figure.axes[1])] == pytest.approx(rows[rows.curve == "llama-neox"].alpha.tolist())


def test_rivals_stand_where_they_put_the_largest_count():
    table = pd.concat([counts_of(COUNT), counts_of([*COUNT[:4], 0], "all"), counts_of(COUNT * 2, criterion=HALF)])
    data = rivals_data(table, rivals_table(table, [TOP1, HALF], 0.95))
    assert len(data[data.form == "measured"]) == 10
    row = only(data, curve="neox-bloom", form="persistence")
    assert (row.neurons, row.predicted) == (3072, pytest.approx(COUNT[3]))
    share = only(data, curve="neox-bloom", form="proportional")
    assert share.predicted == pytest.approx(3072 * np.exp(np.log(COUNT[:4] / NEURONS[:4]).mean()))
    zero = only(data, curve="all", form="persistence")
    assert (zero.neurons, zero.predicted) == (1536, pytest.approx(COUNT[2])), "no form is fitted to a zero"
    figure = fit_figures.draw_rivals(data)
    drawn = dots(figure.axes[0])
    for form in ("persistence", "proportional", "power law", "logarithmic", "saturating"):
        assert any(np.allclose(xy, (3072, only(data, curve="neox-bloom", form=form).predicted)) for xy in drawn), form
    assert {tuple(xy) for xy in zip(NEURONS, COUNT, strict=True)} <= set(drawn)


def test_a_criterion_without_fits_is_not_replaced_by_another():
    table = pd.concat([counts_of([0, 0, 0, 0, 2]), counts_of(COUNT, criterion=HALF)])
    estimators, rivals = estimators_table(table, 0.95), rivals_table(table, [TOP1, HALF], 0.95)
    assert set(estimators[estimators.quantity == "count"].criterion) == {HALF}
    figure = fit_figures.draw_estimators(counted(estimators, TOP1))
    assert words_of(figure) == "No power law could be fitted."
    data = rivals_data(table, rivals)
    assert set(data.form) == {"measured"}
    assert dots(fit_figures.draw_rivals(data).axes[0]) == [*zip(NEURONS, [0, 0, 0, 0, 2], strict=True)]


def test_isolation_is_drawn_with_both_its_slopes(tables):
    data = theory_figures.isolation_data(tables["isolation"], tables["counts"], tables["theory"])
    figure = theory_figures.draw_isolation(data)
    for axes, (curve, rows) in zip(figure.axes, data[data.criterion == TOP1].groupby("curve", sort=False), strict=True):
        real, rotated = rows[rows.kind == "real"], rows[rows.kind == "rotate"]
        assert {
            *zip(real.neurons, real.isolation, strict=True),
            *zip(rotated.neurons, rotated.isolation, strict=True),
        } == set(dots(axes))
        lines = [one for one in axes.lines if len(one.get_xdata()) == 50]
        slopes = [np.polyfit(np.log(one.get_xdata()), np.log(one.get_ydata()), 1)[0] for one in lines]
        row = only(tables["theory"], curve=curve, criterion=TOP1, kind="real", quantity="isolation_slope")
        assert slopes == pytest.approx([row.value, row.predicted])
        assert row.value == pytest.approx(line(real.neurons, real.isolation)[0])


def test_nothing_matched_is_said_and_a_curve_without_matches_leaves_its_panel(tables):
    data = theory_figures.isolation_data(tables["isolation"], tables["counts"], tables["theory"])
    nothing = data.assign(isolation=np.nan)
    assert words_of(theory_figures.draw_isolation(nothing)) == "No neuron was matched."
    one = data.assign(isolation=data.isolation.where(data.curve != "all"))
    figure = theory_figures.draw_isolation(one)
    figure.canvas.draw()
    assert [len(dots(axes)) for axes in figure.axes] == [10, 10, 0]
    half = data.assign(isolation=data.isolation.where((data.curve != "all") | (data.kind != "real")))
    assert [len(dots(axes)) for axes in theory_figures.draw_isolation(half).axes] == [10, 10, 5]


def test_extrapolations_are_drawn_open_with_interval_and_rivals(tables):
    figure = fit_figures.draw_forecast(counted(tables["forecast"], TOP1))
    assert figure.legends[0].get_title().get_text() == "extrapolation"
    rows = tables["forecast"].query(f"curve == 'neox-bloom' and criterion == '{TOP1}' and quantity == 'count'")
    axes = figure.axes[0]
    drawn = [y for _, y in dots(axes)]
    assert set(rows.forecast) | set(rows.neurons) == set(drawn)
    bars = [
        segment[:, 1].tolist()
        for lines in axes.collections
        if hasattr(lines, "get_segments")
        for segment in lines.get_segments()
    ]
    for row in rows.itertuples():
        assert [row.low, row.high] in bars
        assert [row.rivals_low, row.rivals_high] in bars
    low, high = axes.get_ylim()
    assert low < min(map(min, bars))
    assert max(map(max, bars)) < high
    (marks,) = [marks for marks in axes.collections if hasattr(marks, "get_sizes")]
    assert matplotlib.colors.to_hex(marks.get_facecolor()[0]) == "#ffffff"


def one_curve(points: int = 5, **columns) -> pd.DataFrame:
    return pd.concat([counts_of(COUNT[:points], **columns), counts_of(COUNT[:points] // 2, criterion=HALF, **columns)])


NOTHING = counts_of([0, 0, 0], null_rotate_pre=0.0, null_rotate=0.0, null_untrained=0.0)
UNKNOWN_NULLS = {f"null_{null}{end}": np.nan for null in NULLS for end in ("", "_low", "_high")}
STUDIES = {
    "one curve": one_curve(),
    "three points": one_curve(3),
    "nothing matched": pd.concat([NOTHING, NOTHING.assign(criterion=HALF)]),
    "nothing by the first criterion": pd.concat([NOTHING, counts_of(COUNT[:3], criterion=HALF)]),
    "nothing by the second criterion": pd.concat([counts_of(COUNT[:3]), NOTHING.assign(criterion=HALF)]),
    "two points that matched": pd.concat([counts_of([0, 5, 7]), NOTHING.assign(criterion=HALF)]),
    "exactly on a line": pd.concat([counts_of([4, 8, 16]), counts_of([3, 3, 3], criterion=HALF)]),
    "no null and no compute": one_curve(4, training_flops=np.nan).assign(**UNKNOWN_NULLS, excess=np.nan),
    "one width": one_curve(4, hidden_size=64.0),
}


@pytest.mark.parametrize("name", list(STUDIES))
def test_every_study_gets_its_fits_figures_tables_and_claims(tmp_path, name):
    study = a_study(curves={"neox-bloom": ["neox", "bloom"]})
    tables = fitted(tmp_path, study, STUDIES[name])
    fits = read_checked(tmp_path / "tables/fits.json")
    assert len(fits.fits) + len(fits.refused) == 2 * len(MEANING)
    assert len(fits.fits) == len(tables["uncertainty"])
    for draw, data in drawings(tables).values():
        figure = draw(data)
        figure.canvas.draw()
        if data.empty:
            assert words_of(figure) in ("No power law could be fitted.", "Nothing was extrapolated.")
    cells = fit_cells.fit_cells(tables, fits)
    for table in (value for key, value in cells.items() if key not in ("warnings", "checklist")):
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
        assert all(isinstance(cell, str) for row in table["rows"] for cell in row)
        assert not any("nan" in cell.lower() for row in table["rows"] for cell in row), table
    found = judge_fits(tables, study.judged)
    assert len(found) == 13
    if name.startswith(("nothing", "two", "exactly")):
        decided = [one.words for one in found if one.verdict != INCONCLUSIVE and f"({TOP1})" in one.words]
        assert not decided or "second" in name or decided == [f"{ROBUST} ({TOP1})"], decided
    assert not any("nan" in one.sentence + one.statistic for one in found)


def test_missing_intervals_are_drawn_as_none(tables):
    for name in ("fits", "estimators", "pooled", "coverage", "forecast", "theory"):
        ends = [end for end in ("low", "high", "coverage_low", "coverage_high") if end in tables[name]]
        tables[name][ends] = np.nan
    for draw, data in drawings(tables).values():
        draw(data).canvas.draw()
