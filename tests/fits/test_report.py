"""What is reported of a fit, against the tables that it is made from."""

import numpy as np
import pandas as pd
import pytest
from fitted_studies import fitted, fitted_tables, models_of, snapshots_of
from planted_counts import COUNT, HALF, NEURONS, T3, TOP1, a_study, counts_of, line, only

from rosetta_scaling.claims.fits import judge_fits
from rosetta_scaling.config.parsing import parse
from rosetta_scaling.fits.checklist import UNKNOWN
from rosetta_scaling.fits.counts import ABSCISSAE
from rosetta_scaling.power_laws.estimators import ESTIMATORS
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.store.tables import read_json, write_json


@pytest.fixture
def tables(fitted_folder) -> dict[str, pd.DataFrame]:
    return fitted_tables(fitted_folder)


def report_of(folder, curve="neox-bloom", criterion=TOP1, quantity="count") -> dict:
    known = read_json(folder / "tables/fits.json")["fits"]
    key = {"curve": curve, "criterion": criterion, "quantity": quantity}
    (found,) = [fit for fit in known if key.items() <= fit.items()]
    return found


def test_every_fit_is_reported_or_refused_with_a_reason(fitted_folder, tables):
    known = read_json(fitted_folder / "tables/fits.json")
    names = [(fit["curve"], fit["criterion"], fit["quantity"]) for fit in known["fits"] + known["refused"]]
    assert len(names) == len(set(names)) == 3 * 2 * 4
    judged = tables["uncertainty"]
    assert set(names[: len(known["fits"])]) == set(zip(judged.curve, judged.criterion, judged.quantity, strict=True))
    reasons = {(one["curve"], one["quantity"]): one["reason"] for one in known["refused"]}
    assert reasons["neox-bloom", "calibrated_05"] == (
        "0 points are positive and a fit needs 3; 5 of 5 points left out: calibrated_05 is not positive"
    )


def test_a_report_has_the_numbers_of_the_fit(fitted_folder, tables):
    fit, counts = report_of(fitted_folder), tables["counts"].query(f"curve == 'neox-bloom' and criterion == '{TOP1}'")
    y = counts["count"].to_numpy()
    alpha, error, sd = line(NEURONS, y)
    design = np.column_stack([np.ones(5), np.log(NEURONS)])
    covariance = sd**2 * np.linalg.inv(design.T @ design)
    assert fit["estimation"]["alpha"] == pytest.approx(alpha)
    assert fit["estimation"]["log_c"] == pytest.approx(np.log(y).mean() - alpha * np.log(NEURONS).mean())
    np.testing.assert_allclose(fit["estimation"]["covariance"], covariance, rtol=1e-6)
    spread = fit["uncertainty"]
    assert spread["alpha"] == pytest.approx([alpha - T3 * error, alpha + T3 * error])
    assert (spread["points"], spread["degrees_of_freedom"], spread["warning"]) == (5, 3, "none")
    assert spread["model_sd"] == pytest.approx(sd)
    assert spread["documents_sd"] == pytest.approx(np.log(1.1 / 0.9) / 2 / 1.959964)
    assert spread["seeds_sd"] == f"{UNKNOWN}no other curve differs from this one in its seeds only"
    assert spread["nulls_sd"] == f"{UNKNOWN}only the excess depends on the draws of nulls"
    residuals = [row["residual"] for row in fit["adequacy"]["residuals"]]
    assert sum(residuals) == pytest.approx(0, abs=1e-12)
    assert np.sqrt(np.square(residuals).sum() / 3) == pytest.approx(sd)
    assert [row["point"] for row in fit["adequacy"]["influence"]] == ["r1", "r2", "r3", "r4", "r5"]
    curvature = np.polyfit(np.log(NEURONS), np.log(y), 2)[0]
    assert fit["adequacy"]["curvature"][0]["curvature"] == pytest.approx(curvature)
    assert fit["adequacy"]["r2"] == pytest.approx(np.corrcoef(np.log(NEURONS), np.log(y))[0, 1] ** 2)
    assert {row["form"] for row in fit["adequacy"]["rivals"]} >= {"constant", "power law", "persistence"}
    assert [row["x"] for row in fit["claim"]["below_proportional"]] == list(ABSCISSAE)
    assert fit["claim"]["range_of_validity"].startswith("192 to 3072 neurons")
    assert fit["claim"]["reproduce"] == "make study STUDY=smoke"
    np.testing.assert_allclose(residuals, np.log(y) - fit["estimation"]["log_c"] - alpha * np.log(NEURONS), atol=1e-12)
    others = {(row["criterion"], row["quantity"], row["x"], row["estimator"]) for row in spread["sensitivity"]}
    assert len(spread["sensitivity"]) == 2 * 4 * len(ABSCISSAE) + len(ESTIMATORS) + 1, "of this curve alone"
    assert {(HALF, "count", "neurons", "ols"), (TOP1, "excess", "parameters", "ols"),
            (TOP1, "count", "neurons", "theil_sen")} <= others  # fmt: skip


def test_a_report_has_the_points_with_their_models_nulls_and_units(fitted_folder):
    fit = report_of(fitted_folder, "all", HALF)
    points = fit["data"]["points"]
    assert [point["point"] for point in points] == ["r2", "r3", "r4", "r5"]
    assert fit["data"]["exclusions"] == ["r1: count is 0"]
    assert report_of(fitted_folder)["data"]["exclusions"] == ["none"]
    assert points[0]["models"] == ["neox-r2", "bloom-r2", "llama-r2"]
    assert points[0]["weights_sha256"] == ["neoxr2sha", "bloomr2sha", "llamar2sha"]
    assert points[0]["seeds"] == ["neox-r2: 1", "bloom-r2: 2", "llama-r2: 3"]
    assert points[0]["denominator"] == points[0]["neurons"] == 384
    assert points[0]["nulls"].keys() == {*NULLS, "iid"}
    assert points[0]["nulls"]["rotate"] == np.round(0.3 * 384**0.6)
    assert points[0]["count_against_units"] == [{"units": 200, "count": points[0]["count"] // 2},
                                                {"units": 400, "count": points[0]["count"]}]  # fmt: skip
    assert fit["data"]["units"] == 400
    assert fit["data"]["decades"] == pytest.approx(np.log10(8))
    assert fit["uncertainty"]["degrees_of_freedom"] == 2
    assert "4 points leave 2 degrees of freedom" in fit["uncertainty"]["warning"]
    assert "matched in every other model of the point by the criterion mutual_top1_r0.5" in fit["form"]["y"]
    assert "matched in the other model of the point" in report_of(fitted_folder)["form"]["y"]
    assert "on the same tokens in the same order" in fit["data"]["training_data"]
    assert "all sizes of a family have its seed" in fit["data"]["independence"]
    assert "same number of tokens" in fit["data"]["confounds"]


def test_what_is_simulated_or_resampled_for_counts_is_not_passed_off_as_that_of_the_excess(fitted_folder, tables):
    excess, count = report_of(fitted_folder, quantity="excess"), report_of(fitted_folder)
    assert excess["uncertainty"]["coverage"] == [{"none": f"{UNKNOWN}coverage is simulated for counts only"}]
    assert {row["estimator"] for row in count["uncertainty"]["coverage"]} == {*ESTIMATORS, "measured"}
    assert excess["data"]["points"][4]["count"] == count["data"]["points"][4]["count"] - np.round(0.3 * 3072**0.6)
    row = only(tables["rivals"], curve="neox-bloom", criterion=TOP1, quantity="excess", form="power law")
    (reported,) = [row for row in excess["adequacy"]["rivals"] if row["form"] == "power law"]
    assert reported["largest"] == pytest.approx(row.largest)
    assert len(excess["adequacy"]["rivals"]) == len(count["adequacy"]["rivals"])
    assert isinstance(excess["uncertainty"]["nulls_sd"], float)


@pytest.mark.slow(0.1)
def test_equal_counts_are_fitted_and_reported(tmp_path):
    table = pd.concat([counts_of([3, 3, 3]), counts_of([3, 6, 12], criterion=HALF)])
    tables = fitted(tmp_path, a_study(curves={"neox-bloom": ["neox", "bloom"]}), table)
    fit = report_of(tmp_path)
    assert fit["adequacy"]["r2"] == f"{UNKNOWN}all counts are equal"
    assert fit["uncertainty"]["alpha"][0].startswith(f"{UNKNOWN}the points lie exactly on the fit")
    assert fit["uncertainty"]["model_sd"] == pytest.approx(0)
    assert report_of(tmp_path, criterion=HALF)["adequacy"]["r2"] == pytest.approx(1)
    assert tables["pooled"].empty


def test_points_whose_names_are_numbers_keep_them(tmp_path):
    table = counts_of(COUNT)
    fitted(tmp_path, a_study(curves={"neox-bloom": ["neox", "bloom"]}), table.assign(point=["1", "2", "3", "4", "5"]))
    assert [point["point"] for point in report_of(tmp_path)["data"]["points"]] == ["1", "2", "3", "4", "5"]


def test_networks_that_were_not_trained_here_are_reported_as_such(tmp_path):
    families = {}
    for family in ("neox", "bloom"):
        for rung in ("r1", "r2", "r3"):
            for file in ("config.json", "tokenizer.json", "model.safetensors"):
                write_json(tmp_path / family / rung / file, {})
        folders = {rung: str(tmp_path / family / rung) for rung in ("r1", "r2", "r3")}
        families[family] = {"source": "local", "models": folders}
    values = a_study().model_dump(mode="json") | {"families": families, "curves": {"neox-bloom": ["neox", "bloom"]}}
    study = parse(values | {"study": "elsewhere"})
    models = models_of(study).assign(seed=np.nan, training_tokens=np.nan)
    counts = counts_of(COUNT[:3], training_flops=np.nan)
    nulls = {f"null_{null}{end}": np.nan for null in NULLS for end in ("", "_low", "_high")}
    tables = fitted(
        tmp_path, study, counts.assign(**nulls, excess=np.nan), models=models, snapshots=snapshots_of(counts)[:0]
    )
    fit = report_of(tmp_path)
    assert fit["data"]["training_data"].startswith(UNKNOWN)
    assert fit["data"]["independence"].startswith(UNKNOWN)
    assert "are not known" in fit["data"]["confounds"]
    assert fit["data"]["points"][0]["training_tokens"][0] == f"neox-r1: {UNKNOWN}not trained here"
    assert set(fit["data"]["points"][0]["nulls"].values()) - {96.0} == {f"{UNKNOWN}no draw can tell"}
    assert fit["data"]["points"][0]["count_against_units"] == [{"none": f"{UNKNOWN}the study has none"}]
    assert fit["claim"]["reproduce"] == "make study"
    compute = [row for row in fit["claim"]["below_proportional"] if row["x"] == "training_flops"]
    assert compute[0]["alpha"].startswith(UNKNOWN)
    assert "3 points leave 1 degree of freedom" in fit["uncertainty"]["warning"]
    excess = read_json(tmp_path / "tables/fits.json")["refused"][0]
    assert excess["reason"].endswith("3 of 3 points left out: excess is not positive or not known")
    assert len(judge_fits(tables, study.judged)) == 13
