"""The whole study as a user runs it: end to end, killed and resumed, and with the mistakes people make."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hub_mirror import Mirror, Trouble
from scipy import stats
from study_runs import SUPPORT, checkout, local_families, one_sentence, run, snakemake, study, tables
from transformers import AutoModelForCausalLM

from rosetta_scaling.activations.sources import StoredActivations
from rosetta_scaling.fits.checklist import read_checked
from rosetta_scaling.fits.report import MEANING
from rosetta_scaling.formatting import number
from rosetta_scaling.networks.linear import weight_out
from rosetta_scaling.networks.mlps import find_down_projections
from rosetta_scaling.points.rosetta import orient
from rosetta_scaling.report.findings import BEGIN, END, filled, of_study
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.store.digests import digest, file_sha256
from rosetta_scaling.store.tables import read_json, read_table
from rosetta_scaling.units.groups import displacements, document_groups

pytestmark = [pytest.mark.study(8), pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A checkout in which the smoke study ran to its end, undisturbed."""
    folder = checkout(tmp_path_factory.mktemp("finished"))
    code, printed = run(folder, "smoke")
    assert code == 0, printed
    return folder


def test_the_study_writes_what_it_promises(finished):
    results = finished / "results/smoke"
    counts = read_table(results / "tables/counts.csv")
    assert {"curve", "point", "models", "neurons", "parameters", "criterion", "count", "fraction", "null_rotate",
            "null_permute", "excess", "calibrated_05", "calibrated_01", "splithalf_jaccard", "equal_n_count",
            "count_low", "count_high", "null_untrained", "null_shift"} <= set(counts.columns)  # fmt: skip
    no_excess = counts[~counts.criterion.str.contains("excess")]
    assert no_excess[[f"null_{null}" for null in NULLS]].notna().all(axis=None), "no count without its null"
    assert no_excess[["count_low", "count_high", "equal_n_count", "excess"]].notna().all(axis=None)
    assert (counts.calibrated_01 <= counts.calibrated_05).all()
    assert (counts.calibrated_05 <= counts["count"]).all()
    parts = read_table(results / "tables/decomposition.csv")
    np.testing.assert_allclose(parts.chance + parts.subspace + parts.neurons, parts["count"])
    assert (parts[["chance", "subspace", "neurons"]] >= 0).all(axis=None)
    assert (counts["count"] <= counts.anchor_neurons).all()
    strict = counts[counts.criterion.str.endswith("_strict")]
    assert set(strict.curve) == {"neox-bloom-llama"}
    plain = counts.set_index(["curve", "point", "criterion"])["count"]
    for row in strict.itertuples():
        assert row.count <= plain[row.curve, row.point, row.criterion.removesuffix("_strict")]
    fits = read_table(results / "tables/fits.csv")
    assert {"curve", "criterion", "x", "alpha", "low", "high", "r2", "points"} <= set(fits.columns)
    assert set(fits.x) == {"neurons", "parameters", "non_embedding_parameters", "hidden_size", "training_flops"}
    judged = fits[(fits.x == "neurons") & fits.quantity.isin(MEANING)]
    judged = judged[judged.criterion.isin(["mutual_top1", "mutual_top1_r0.5"])]
    reported = read_checked(results / "tables/fits.json")
    assert len(reported.fits) == judged.alpha.notna().sum()
    assert len(reported.refused) == judged.alpha.isna().sum()
    assert all(fit.uncertainty.degrees_of_freedom == 1 for fit in reported.fits)
    simulated = read_table(results / "tables/theory_simulation.csv")
    assert len(simulated) == 2 * 3 * 2
    assert set(simulated.beta) == {1.5, 2.0}
    isolation = read_table(results / "tables/isolation.csv")
    real = isolation[isolation.kind == "real"].merge(counts, on=["curve", "point", "criterion"])
    assert (real.matches == real["count"]).all()
    nulls = isolation[isolation.kind == "rotate"].merge(counts, on=["curve", "point", "criterion"])
    np.testing.assert_allclose(nulls.matches, nulls.null_rotate)
    claims = read_json(results / "tables/claims.json")["claims"]
    assert {c["verdict"] for c in claims} <= {"supported", "not supported", "inconclusive"}
    assert len(claims) >= 10
    pages = {name: html.unescape((results / f"report/{name}.html").read_text()) for name in ("index", "fits")}
    for claim in claims:
        page = pages["fits" if "fit" in claim else "index"]
        assert claim["claim"] in page
        assert claim["sentence"] in page
    assert sum("fit" in claim for claim in claims) == 2 * 6 + 1
    assert "3 points leave 1 degree of freedom" in pages["fits"]
    models = read_table(results / "tables/models.csv")
    assert len(models) == 9
    assert models.validation_bits_per_byte.between(1, 8).all()


def test_a_first_page_stands_long_before_the_report(finished):
    results = finished / "results/smoke"
    first, following = (results / f"report/so-far/{rung}.html" for rung in ("r1", "r2"))
    counts = read_table(results / "tables/counts.csv")
    page = html.unescape(first.read_text())
    assert f"3 of {counts.groupby(['curve', 'point']).ngroups} points are known" in page
    assert re.search(r"<td[^>]*>neox-r1</td>", page)
    assert not re.search(r"<td[^>]*>neox-r[23]</td>", page)
    assert re.search(r"<td[^>]*>neox-r2</td>", html.unescape(following.read_text()))
    of_last = [path.stat().st_mtime for path in results.glob("nulls/*-r3--*-r3/rotate_pre.parquet")]
    assert first.stat().st_mtime < min(of_last)


def activations(folder: Path, model: str) -> np.ndarray:
    stored = StoredActivations(folder / f"results/smoke/activations/study/{model}")
    return np.concatenate([chunk.double().numpy() for chunk in stored.chunks()], axis=1)


def mutual_matches(a: np.ndarray, b: np.ndarray) -> int:
    """Mutual nearest neighbours by numpy in float64, one neuron at a time."""
    return len(best_pairs(a, b))


def best_pairs(a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    r = np.corrcoef(a, b)[: len(a), len(a) :]
    return [(i, int(r[i].argmax())) for i in range(len(a)) if r[:, r[i].argmax()].argmax() == i]


@pytest.mark.parametrize("curve", ["neox-bloom", "llama-neox"])  # the anchor of the second comes later in the study
def test_counts_and_nulls_follow_from_the_activations(finished, curve):
    anchor, other = (f"{family}-r2" for family in curve.split("-"))
    counts = read_table(finished / "results/smoke/tables/counts.csv")
    row = counts[(counts.curve == curve) & (counts.point == "r2") & (counts.criterion == "mutual_top1")].iloc[0]
    a, b = activations(finished, anchor), activations(finished, other)
    assert (row.anchor, row.anchor_neurons) == (anchor, len(a))
    assert row["count"] == mutual_matches(a, b)
    untrained = [activations(finished, f"{model}.untrained0") for model in (anchor, other)]
    assert row.null_untrained == mutual_matches(*untrained)
    first, second = sorted((anchor, other))
    doc = read_table(finished / "results/smoke/units/study/units.parquet").doc.to_numpy()
    (place,) = displacements(doc, 1, [0, int(digest(["shift", first, second]), 16)])
    by_name = {anchor: a, other: b}
    assert row.null_shift == mutual_matches(by_name[first], np.roll(by_name[second], place, axis=1))
    pair = sorted((anchor, other), key=["neox-r2", "bloom-r2", "llama-r2"].index)
    table = read_table(finished / f"results/smoke/matches/{'--'.join(pair)}/matches.parquet")
    table = orient(table, swap=pair[0] != anchor)
    kept = table[(table.rank_a == 1) & (table.rank_b == 1) & (table.q_a <= 0.05)]
    assert row.calibrated_05 == len(kept)
    group = document_groups(doc, 0)
    pairs = [set(best_pairs(a[:, group % 2 == half], b[:, group % 2 == half])) for half in (0, 1)]
    assert row.splithalf_jaccard == pytest.approx(len(pairs[0] & pairs[1]) / len(pairs[0] | pairs[1]))
    snapshots = read_table(finished / "results/smoke/tables/snapshots.csv")
    snapshots = snapshots[
        (snapshots.curve == curve) & (snapshots.point == "r2") & (snapshots.criterion == "mutual_top1")
    ]
    snapshots = snapshots[~snapshots.extrapolated]
    assert snapshots.units.iloc[-1] == a.shape[1]
    for shot in snapshots.itertuples():
        assert shot.count == mutual_matches(a[:, : shot.units], b[:, : shot.units])
    rosetta = read_table(finished / f"results/smoke/rosetta/{curve}/r2.parquet")
    r = np.corrcoef(a, b)[: len(a), len(a) :]
    chosen = rosetta[rosetta.mutual_top1]
    np.testing.assert_allclose(chosen[f"r_{other}"], r[chosen.neuron, chosen[f"partner_{other}"]], atol=1e-5)


@pytest.mark.parametrize("curve", ["neox-bloom", "llama-neox"])
def test_selectivity_and_polarization_follow_from_activations_and_weights(finished, curve):
    anchor = f"{curve.split('-')[0]}-r3"
    results = finished / "results/smoke"
    values = activations(finished, anchor)
    table = read_table(results / f"selectivity/study/{anchor}.parquet")
    np.testing.assert_allclose(table.activation_kurtosis, stats.kurtosis(values, axis=1), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(table.fraction_active, (values > 0).mean(1))
    units = read_table(results / "units/study/units.parquet")
    for domain, here in units.groupby("domain").unit:
        np.testing.assert_allclose(table[f"mean_{domain}"], values[:, here].mean(1), rtol=1e-4, atol=1e-6)
    contexts = read_table(results / f"activations/study/{anchor}/contexts.parquet")
    np.testing.assert_allclose(contexts.groupby("neuron").activation.max(), values.max(1))
    folder = read_table(results / "tables/models.csv").set_index("model").checkpoint[anchor]
    model = AutoModelForCausalLM.from_pretrained(finished / folder)
    head = model.get_output_embeddings().weight.detach().double().numpy()
    out = np.concatenate([weight_out(part).detach().double().numpy() for part in find_down_projections(model)], 1)
    cosine = (head / np.linalg.norm(head, axis=1, keepdims=True)) @ (out / np.linalg.norm(out, axis=0))
    np.testing.assert_allclose(table.vocab_kurtosis, stats.kurtosis(cosine, axis=0), atol=1e-4)
    rosetta = read_table(results / f"rosetta/{curve}/r3.parquet").mutual_top1.to_numpy()
    rows = read_table(results / "tables/polarization.csv").set_index(["curve", "model", "set", "metric"])
    for metric in ("gini", "vocab_kurtosis", "detection_auc"):
        row, known = rows.loc[curve, anchor, "mutual_top1", metric], np.isfinite(table[metric])
        inside, outside = table[metric][rosetta & known], table[metric][~rosetta & known]
        u = stats.mannwhitneyu(inside, outside).statistic
        assert row.effect == pytest.approx(2 * u / len(inside) / len(outside) - 1)
        assert row.median_rosetta == pytest.approx(inside.median())
    firing = read_table(results / "tables/specialisation.csv")
    firing = firing[(firing.curve == curve) & (firing.model == anchor) & (firing["set"] == "mutual_top1")]
    assert firing.set_index("domain")["mean"].to_dict() == pytest.approx(
        {domain: table[f"firing_{domain}"][rosetta].mean() for domain in units.domain.unique()}
    )


def test_firing_is_that_of_the_strongest_units_above_zero(finished):
    results = finished / "results/smoke"
    values, table = activations(finished, "bloom-r3"), read_table(results / "selectivity/study/bloom-r3.parquet")
    domain = read_table(results / "units/study/units.parquet").domain
    share = domain.value_counts(normalize=True)
    for neuron in range(0, len(values), 7):
        above = np.flatnonzero(values[neuron] > 0)
        strongest = above[np.argsort(-values[neuron][above], kind="stable")][:20]
        for name in share.index:
            expected = (domain[strongest] == name).mean() / share[name] if len(above) else np.nan
            np.testing.assert_allclose(table[f"firing_{name}"][neuron], expected)


def test_a_second_run_does_nothing(finished):
    began = time.monotonic()
    code, printed = run(finished, "smoke")
    assert code == 0
    assert "Nothing to be done" in printed
    assert time.monotonic() - began < 60  # seconds on an idle machine; the bound only tells apart from computing


def test_snakemakes_own_report_shows_figures_and_tables(finished, tmp_path):
    done = snakemake(finished, "--configfile", "workflow/studies/smoke.yaml", "--report", str(tmp_path / "report.zip"))
    assert done.returncode == 0, done.stderr
    names = [Path(name).name for name in zipfile.ZipFile(tmp_path / "report.zip").namelist()]
    figures = {path.name for path in (finished / "results/smoke/figures").glob("*.svg")}
    assert len(figures) > 15
    assert {"report.html", "index.html", "counts.csv", "fits.csv"} | figures <= set(names)


def test_the_crate_names_what_is_there(finished):
    """Every entity that another one names is described, every file is there, and hashes are those of the files."""
    results = finished / "results/smoke"
    graph = {entity["@id"]: entity for entity in read_json(results / "ro-crate-metadata.json")["@graph"]}

    def named(value) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(named, value))
        return {value["@id"]} if isinstance(value, dict) else set()

    outside = {name for entity in graph.values() for value in entity.values() for name in named(value)} - graph.keys()
    assert all(name.startswith(("http://", "https://")) for name in outside)
    files = [entity for entity in graph.values() if "File" in entity["@type"]]
    assert len(files) > 30
    for entity in files:
        assert (results / entity["@id"]).is_file()
        assert entity.get("sha256") in (None, file_sha256(results / entity["@id"]))
    assert {name for name, entity in graph.items() if "sha256" in entity} >= {"tables/counts.csv", "tables/claims.json"}
    assert {entity["@id"] for entity in graph["./"]["hasPart"]} == {entity["@id"] for entity in files}
    assert graph["#run"]["startTime"] < graph["#run"]["endTime"]


@pytest.fixture(scope="module")
def validate(tmp_path_factory) -> Callable[[Path], subprocess.CompletedProcess]:
    """Validates a crate, with packages in a folder of their own: they do not go with ours."""
    home = tmp_path_factory.mktemp("validator")

    def python(*words: object) -> subprocess.CompletedProcess:
        command, environment = [sys.executable, *map(str, words)], {**os.environ, "PYTHONPATH": str(home)}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    for wanted in (["roc-validator==0.13.0"], ["--no-deps", "rocrate==0.13.0"]):
        done = python("-m", "pip", "install", "--quiet", "--no-compile", "--target", home, *wanted)
        if done.returncode:
            pytest.skip(f"{wanted[-1]} cannot be installed: {done.stderr[-300:]}")
    done = python(SUPPORT / "crate_context.py", home / "cache")
    assert done.returncode == 0, done.stderr
    options = ["--no-interactive", "--disable-color", "validate", "--offline", "--cache-path", home / "cache"]
    return partial(
        python, home / "bin/rocrate-validator", *options, "--profile-identifier", "workflow-run-crate", "--verbose"
    )


def test_the_crate_is_a_workflow_run_crate(finished, validate):
    done = validate(finished / "results/smoke")
    assert done.returncode == 0, done.stdout + done.stderr


def unlike(row: dict, found: dict) -> bool:
    """Whether a row of settled.csv says something else of a main claim than its verdict."""
    return any(row["claim"] == claim["claim"] and row["verdict"] != claim["verdict"] for claim in found["claims"])


def test_the_page_of_findings_is_made_from_its_numbers(finished):
    found = of_study(finished / "results/smoke/tables")
    page = filled(f"# Findings\n{BEGIN}{END}The end.\n", found)
    main = [claim for claim in read_json(finished / "results/smoke/tables/claims.json")["claims"] if claim.get("main")]
    counts = tables(finished, names=["counts"])["counts"].query("criterion == 'mutual_top1'")
    power = tables(finished, names=["power"])["power"]
    for claim in main:
        row, chances = [line for line in page.splitlines() if line.startswith(f"| {claim['claim']} |")]
        assert f"*{claim['verdict']}" in row
        of = power[power.claim == claim["claim"]]
        assert [cell.strip() for cell in chances.split("|")[3:6]] == [
            f"{row.supported:.0%} / {row.not_supported:.0%}" for row in of.itertuples()
        ]
        assert f"- {claim['claim']}: " in page
    alike = len(main) - len({row["claim"] for row in found["settled"] if unlike(row, found)})
    assert f"With 2 in place of 4 draws of the nulls {alike} of these {len(main)} verdicts would be the same" in page
    for point in counts.itertuples():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {point.curve} {point.point} |")]
        assert [cell.strip() for cell in row.split("|")[2:4]] == [number(point.anchor_neurons), number(point.count)]
    assert f"Of {len(main)} main claims" in page
    assert page.endswith("The end.\n")
    assert page == filled(page, found), "made again, it stays the same"


def test_verdicts_are_derived_again_from_the_tables(finished):
    def verified() -> tuple[int, str]:
        done = subprocess.run([*verify, "smoke"], cwd=finished, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    verify = [sys.executable, "-m", "rosetta_scaling", "verify"]
    code, printed = verified()
    assert code == 0, printed
    assert re.match(r"All \d\d verdicts follow from the tables", printed)
    path = finished / "results/smoke/tables/claims.json"
    kept, claims = path.read_bytes(), read_json(path)
    claims["claims"][0]["verdict"] = "supported, believe me"
    claims["claims"][1]["sentence"] += " Without doubt."
    path.write_text(json.dumps(claims))
    code, printed = verified()
    path.write_bytes(kept)
    assert code == 1
    one_sentence(printed, str(path.relative_to(finished)), "is not the file that the report was written from")
    one_sentence(printed, claims["claims"][0]["claim"], "supported, believe me was written, the tables say")
    one_sentence(printed, claims["claims"][1]["claim"], "the verdict is the same, but not sentence")
    assert len(printed.splitlines()) == 3


def test_every_verdict_says_what_fewer_draws_of_the_nulls_would_have_said(finished):
    results = finished / "results/smoke"
    settled, claims = read_table(results / "tables/settled.csv"), read_json(results / "tables/claims.json")["claims"]
    assert set(settled.draws) == {2, 4}
    of_two, of_all = (settled[settled.draws == draws].set_index("claim") for draws in (2, 4))
    assert of_all.verdict.to_dict() == {claim["claim"]: claim["verdict"] for claim in claims}
    assert set(of_two.index) == set(of_all.index)
    moved = set(of_two.effect.compare(of_all.effect.reindex(of_two.index)).index)
    beyond = {claim["claim"] for claim in claims if claim["claim"].startswith("Neurons are shared beyond the decoys")}
    assert beyond <= moved, "what competes with decoys depends on how many there are"
    metrics = {claim["claim"] for claim in claims if "metric" in claim}
    assert beyond
    assert metrics
    assert not metrics & moved, "no null of matches decides about selectivity"
    page = html.unescape((results / "report/index.html").read_text())
    assert page.count("draws of the nulls") >= sum("fit" not in claim for claim in claims)


def test_the_status_tells_what_is_done_and_what_waits(finished):
    def status() -> str:
        command = [sys.executable, "-m", "rosetta_scaling.jobs.status", "smoke"]
        return subprocess.run(command, cwd=finished, capture_output=True, text=True, check=True).stdout

    assert "100 of 100 jobs are done." in status()
    report = finished / "results/smoke/report/index.html"
    report.rename(report.with_suffix(".kept"))
    try:
        assert "99 of 100 jobs are done; about 0.00 hours with 1 at a time." in status()
    finally:
        report.with_suffix(".kept").rename(report)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"activations": {"batch_passages": 7}, "matching": {"memory_mb": 200}, "device": "cpu"}, set()),
        ({"matching": {"scratch_gb": 7, "sketch_slots": 4096}}, set()),
        ({"fits": {"coverage_draws": 60}}, {"fits", "claims", "settled", "figures", "report"}),
        ({"theory": {"runs": 3}}, {"simulate_theory", "fits", "claims", "figures", "report"}),
        ({"polarization": {"draws": 200}}, {"polarization", "tables", "fits", "claims", "figures", "report"}),
        ({"selectivity": {"shuffles": 30}}, {"selectivity", "polarization", "tables", "figures", "report"}),
        ({"activations": {"unit_texts": 99}}, {"extract_activations", "selectivity", "polarization", "tables"}),
        ({"matching": {"criteria": [{"k": 2}]}}, {"nulls", "match_pair", "stability", "rosetta_neurons", "tables"}),
        ({"stability": {"bootstrap": 12}}, {"stability", "rosetta_neurons", "tables"}),
        ({"nulls": {"rotate_draws": 4}}, {"nulls", "match_pair", "tables"}),
        ({"activations": {"dtype": "float32"}}, {"extract_activations", "extract_untrained", "match_pair", "tables"}),
        ({"units": {"passage_bytes": 80}}, {"align_units", "index_tokens", "extract_activations", "tables"}),
        ({"nulls": {"seed": 5}}, {"extract_untrained", "nulls", "match_pair", "tables"}),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it_and_nothing_else(finished, changes, expected):
    path = finished / "workflow/studies/smoke.yaml"
    before = path.read_text()
    try:
        study(finished, **changes)
        printed = snakemake(finished, "--dry-run", "--configfile", str(path)).stdout
    finally:
        path.write_text(before)
    planned = {line.split()[0] for line in printed.splitlines() if len(line.split()) == 2 and line.split()[1].isdigit()}
    assert expected <= planned
    assert bool(expected) == bool(planned)
    assert planned.isdisjoint({"corpus", "prepare_text", "train_model"})
    if expected.isdisjoint({"match_pair", "extract_activations"}):
        assert planned.isdisjoint({"extract_activations", "match_pair"})
    if "theory" not in changes:
        assert "simulate_theory" not in planned
    if changes.keys() <= {"fits", "theory"}:
        assert planned.isdisjoint({"rosetta_neurons", "polarization"})


# -- other studies on the networks that the smoke study trained ------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "gated", "trouble", "expected"),
    [
        ("step7", False, [], ["there/neox-r1 has no revision 'step7'", "branch, tag or commit"]),
        ("main", True, [], ["there/neox-r1 is gated and HF_TOKEN is not set", "accept its licence"]),
        (
            "main",
            False,
            [Trouble(corrupt=True)] * 20,
            ["error in download_model", "model.safetensors of there/neox-r1 arrives damaged"],
        ),
        ("main", False, [Trouble(after=2000), Trouble(after=3000, reset=True)], []),
    ],
    ids=["revision", "gated", "corrupt", "dropped"],
)
def test_trouble_with_the_hub(finished, tmp_path, monkeypatch, revision, gated, trouble, expected):
    """A connection that drops is taken up again; what cannot be mended ends in a sentence and leaves no model."""
    folder, local, hub = checkout(tmp_path), local_families(finished, "smoke"), Mirror()
    hub.add("there/neox-r1", Path(local["neox"]["models"]["r1"]), gated=gated)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.trouble["model.safetensors"] = trouble
    families = {"there": {"source": "hub", "models": {"r1": f"there/neox-r1@{revision}"}}, "bloom": local["bloom"]}
    families["bloom"]["models"] = {"r1": local["bloom"]["models"]["r1"]}
    name = study(folder, study="trouble", families=families, curves={"there-bloom": ["there", "bloom"]})
    code, printed = run(folder, name, "--until", "download_model")
    hub.close()
    models = list((folder / "results/cache/checkpoints").glob("*/model.safetensors"))
    assert bool(code) == bool(expected), printed
    assert bool(models) == (not expected)
    if expected:
        one_sentence(printed, *expected)
    else:
        assert file_sha256(models[0]) == hub.expected("there/neox-r1", "model.safetensors")
        assert len(hub.asked("model.safetensors")) == 3, "asked again, and from where it broke off (see test_hub.py)"


# -- mistakes --------------------------------------------------------------------------------------------------------


def test_an_unknown_key_stops_at_once(finished):
    name = study(finished, study="typo", units={"skope": "pair"})
    code, printed = run(finished, name)
    assert code != 0
    one_sentence(printed, "'units.skope' is not a key; allowed here: scope, passage_bytes")


def test_an_unknown_study_stops_at_once(finished):
    code, printed = run(finished, "smoek")
    assert code != 0
    one_sentence(printed, "no study is called 'smoek'", "smoke")


@pytest.mark.parametrize("fault", ["missing", "without weights"])
def test_a_bad_model_folder_stops_the_run(finished, tmp_path, fault):
    folder = tmp_path / "model"
    if fault == "without weights":
        shutil.copytree(finished / read_table(finished / "results/smoke/tables/models.csv").checkpoint[0], folder)
        (folder / "model.safetensors").unlink()
    families = local_families(finished, "smoke")
    del families["llama"]
    families["neox"]["models"]["r2"] = str(folder)
    name = study(finished, study="badfolder", families=families, curves={"c": ["neox", "bloom"]})
    code, printed = run(finished, name)
    assert code != 0
    one_sentence(printed, f"model folder {folder}", {"missing": "does not exist", "without weights": "weights"}[fault])


def test_an_empty_domain_stops_the_run(finished, tmp_path):
    (tmp_path / "texts/poems").mkdir(parents=True)
    (tmp_path / "texts/poems/one.txt").write_text("A poem that is much too short to train and to probe with. " * 5)
    name = study(finished, study="empty", corpus={"kind": "folder", "path": str(tmp_path / "texts"), "domains": None})
    code, printed = run(finished, name)
    assert code != 0
    one_sentence(printed, "error in corpus", "poems")


# -- the workflow itself ---------------------------------------------------------------------------------------------


def test_a_study_without_a_name_is_not_run_as_the_default_one(finished):
    (finished / "nameless.yaml").write_text("units: {passage_bytes: 64}")
    refused = snakemake(finished, "--dry-run", "--configfile", "nameless.yaml")
    assert refused.returncode != 0
    one_sentence(refused.stdout + refused.stderr, "'study' is missing")


def test_another_study_is_not_merged_into_the_default_one(finished):
    printed = snakemake(finished, "--dry-run", "--forceall", "--configfile", "workflow/studies/smoke.yaml").stdout
    assert "results/smoke" in printed
    assert "results/ladder-small" not in printed
    assert printed.count("rule train_model") + printed.count("Train ") < 2 * 15
