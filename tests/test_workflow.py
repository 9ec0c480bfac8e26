"""The whole study as a user runs it: end to end, killed and resumed, and with the mistakes people make."""

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hub_mirror import Mirror
from scipy import stats
from test_judge import Judge
from transformers import AutoModelForCausalLM

from rosetta_scaling.config import NULLS, WORKFLOW
from rosetta_scaling.fit_checklist import read_checked
from rosetta_scaling.hooks import find_down_projections, weight_out
from rosetta_scaling.layout import FIT_TABLES, STUDY_TABLES
from rosetta_scaling.rosetta import orient
from rosetta_scaling.sources import StoredActivations
from rosetta_scaling.store import digest, read_json, read_table
from rosetta_scaling.variants import displacements, document_groups

ROOT = WORKFLOW.parent
pytestmark = pytest.mark.timeout(1500)


def checkout(folder: Path) -> Path:
    """The project as a fresh clone has it: nothing computed."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("workflow", "envs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """`make study` without the set-up, in a process group of its own; everything it prints goes to folder/printed."""
    command = [sys.executable, "-m", "rosetta_scaling.run", "--cores", "2", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder / "workflow")}
    with open(folder / "printed", "w") as printed:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
        )


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    code = start(folder, *arguments).wait()
    return code, (folder / "printed").read_text()


def study(folder: Path, **changes) -> str:
    """Write a variant of the smoke study, sections merged, families and curves replaced, and return its name."""
    values = yaml.safe_load((ROOT / "workflow/studies/smoke.yaml").read_text())
    for key, value in changes.items():
        merge = isinstance(value, dict) and key not in ("families", "curves")
        values[key] = values.get(key, {}) | value if merge else value
    path = folder / f"workflow/studies/{values['study']}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))  # the order of families is part of a study
    return values["study"]


def tables(folder: Path, name: str = "smoke") -> dict[str, pd.DataFrame]:
    names = (*STUDY_TABLES, *FIT_TABLES)
    found = {table: read_table(folder / f"results/{name}/tables/{table}.csv") for table in names}
    found["models"] = found["models"].drop(columns="train_seconds")  # the clock is the one thing that differs
    return found


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
    judged = fits[(fits.x == "neurons") & fits.quantity.isin(["count", "excess", "calibrated_05"])]
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
    assert sum("fit" in claim for claim in claims) == 2 * 7 + 1
    assert "3 points leave 1 degree of freedom" in pages["fits"]
    models = read_table(results / "tables/models.csv")
    assert len(models) == 9
    assert models.validation_bits_per_byte.between(1, 8).all()


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


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"activations": {"batch_passages": 7}, "matching": {"memory_mb": 200}, "device": "cpu"}, set()),
        ({"matching": {"scratch_gb": 7, "sketch_slots": 4096}}, set()),
        ({"fits": {"coverage_draws": 60}}, {"fits", "claims", "figures", "report"}),
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


def marked_word(prompt: str) -> str:
    """A judge that goes by the piece of text that is marked most often."""
    marks = re.findall(r"\[\[(.*?)\]\]", prompt.split("Passages:")[1])
    word, count = Counter(marks).most_common(1)[0]
    if "is_monosemantic" in prompt:
        return json.dumps({"is_monosemantic": count > len(marks) / 2, "description": f"the text <{word}>"})
    wanted = json.loads(re.search(r'^".*"$', prompt, re.MULTILINE)[0])
    return json.dumps({"matches": [i for i, mark in enumerate(marks, 1) if f"the text <{mark}>" == wanted]})


def test_a_judge_can_be_asked_and_its_answers_put_by_hand(finished, tmp_path):
    path = finished / "workflow/studies/smoke.yaml"
    before, judge = path.read_text(), Judge(marked_word)
    try:
        study(finished, judge={"neurons": 3, "model": "reader", "answers": str(tmp_path)})
        code, printed = run(finished, "smoke")
        assert code
        assert "send the requests in results/smoke/judge/" in printed
        study(finished, judge={"neurons": 3, "model": "reader", "endpoint": judge.endpoint})
        code, printed = run(finished, "smoke")
        assert code == 0, printed
        found = read_table(finished / "results/smoke/tables/judge.csv")
        for point in (finished / "results/smoke/judge").glob("*/*"):
            for stage in ("describe", "detect"):
                answers = tmp_path / f"{point.parent.name}-{point.name}-{stage}.jsonl"
                shutil.move(point / f"{stage}.answers.jsonl", answers)
        study(finished, judge={"neurons": 3, "model": "reader", "answers": str(tmp_path)})
        code, printed = run(finished, "smoke")
        assert code == 0, printed
        pd.testing.assert_frame_equal(read_table(finished / "results/smoke/tables/judge.csv"), found)
        page = (finished / "results/smoke/report/index.html").read_text()
    finally:
        judge.close()
        path.write_text(before)
        run(finished, "smoke")  # the other tests find the study as it was
    assert read_table(finished / "results/smoke/tables/judge.csv").empty
    assert set(found.group) == {"rosetta", "others"}
    assert (found.answered == 1).all()
    assert found[found.measure == "accuracy"]["mean"].mean() > 0.6, "the marked word tells contexts from random units"
    assert "Judged by a language model" in page


def wait_for_step(folder: Path, process: subprocess.Popen, percent: int) -> None:
    """Until so many percent of the steps of this run are done."""
    while process.poll() is None:
        done = [line for line in (folder / "printed").read_text().splitlines() if " steps (" in line]
        if done and int(done[-1].split("(")[1].split("%")[0]) >= percent:
            return
        time.sleep(0.05)
    raise AssertionError((folder / "printed").read_text())


def test_killed_and_resumed_equals_uninterrupted(finished, tmp_path):
    """SIGKILL to everything, then to the driver alone with jobs running on, at several moments; then to the end."""
    folder = checkout(tmp_path)
    (folder / "results/cache").mkdir(parents=True)
    for percent, everything in ((0, True), (15, False), (40, True), (60, True)):
        process = start(folder, "smoke")
        (folder / "results/cache/.left.12345.part").write_text("as a kill in the middle of a write leaves it")
        time.sleep(8) if percent == 0 else wait_for_step(folder, process, percent)
        if everything:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            driver = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
            for pid in [str(process.pid), *driver]:
                os.kill(int(pid), signal.SIGKILL)
        process.wait()
    code, printed = run(folder, "smoke")
    assert code == 0, printed
    assert "continuing where it stopped" in printed
    expected, found = tables(finished), tables(folder)
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True, obj=name)
    for name in ("fits", "claims"):
        first, second = (read_json(one / f"results/smoke/tables/{name}.json") for one in (finished, folder))
        assert first == second, name
    assert not list((folder / "results").rglob(".*.part")), "nothing half written is left behind"
    assert not list((folder / "results").rglob("work/*")), "nothing kept for a kill is left behind"


# -- other studies on the networks that the smoke study trained ------------------------------------------------------


def local_families(finished: Path) -> dict:
    models = read_table(finished / "results/smoke/tables/models.csv")
    chosen = models[models.family != "llama"]
    return {
        family: {"source": "local", "models": {r.rung: str(finished / r.checkpoint) for r in rows.itertuples()}}
        for family, rows in chosen.groupby("family", sort=False)
    }


def test_the_same_networks_from_folders_and_from_a_hub_by_any_scope(finished, tmp_path, monkeypatch):
    """Some of them downloaded, and compared with fresh ones too; units shared by the pair only give the same."""
    folder, local, hub = checkout(tmp_path), local_families(finished), Mirror()
    for rung, path in local["neox"]["models"].items():
        hub.add(f"smoke/neox-{rung}", Path(path))
    downloaded = {"source": "hub", "models": {rung: f"smoke/neox-{rung}@main" for rung in local["neox"]["models"]}}
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    fresh = {"neox": downloaded, "fresh": {"source": "untrained", "of": "neox", "seed": 5}}
    found, curves = {}, {"neox-bloom": ["neox", "bloom"]}
    for scope, families in (("study", local | fresh), ("pair", local)):
        changes = {"curves": curves | ({"neox-fresh": ["neox", "fresh"]} if scope == "study" else {})}
        changes |= {"families": families, "units": {"scope": scope}, "cache_dir": str(finished / "results/cache")}
        name = study(folder, study=f"from_{scope}", **changes)
        code, printed = run(folder, name)
        assert code == 0, printed
        found[scope] = tables(folder, name)
    hub.close()
    counts, models = found["study"]["counts"], found["study"]["models"].set_index("model")
    same = counts[counts.curve == "neox-bloom"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, found["pair"]["counts"])
    assert models.source[["neox-r1", "bloom-r1", "fresh-r1"]].tolist() == ["hub", "local", "untrained"]
    commit = hub.repositories["smoke/neox-r1"].revisions["main"]
    assert models.origin["neox-r1"] == f"smoke/neox-r1@main (commit {commit})"
    assert models.sha256["neox-r1"] == found["pair"]["models"].set_index("model").sha256["neox-r1"]
    audit = read_table(folder / "results/from_study/tables/audit.csv")
    assert set(audit.verdict) == {"independent"}
    assert len(audit) == 6
    strong = counts[counts.criterion == "mutual_top1_r0.5"].groupby("curve")["count"].sum()
    assert strong["neox-fresh"] <= strong["neox-bloom"], "a fresh network shares nothing that was learned"


def test_real_networks_from_packages(tmp_path):
    """The study of pretrained networks, with its two smallest: encoders, one point, no exponent, a common origin."""
    folder = checkout(tmp_path)
    ready = yaml.safe_load((ROOT / "workflow/studies/pretrained.yaml").read_text())
    ready["families"] = {name: {"source": "package", "models": {"base": f"minilm-{name}"}} for name in ("l6", "l3")}
    ready |= {
        "curves": {"l6-l3": ["l6", "l3"]},
        "corpus": {"domains": ["docs", "scripture"], "probe_bytes_per_domain": 4000},
    }
    ready["theory"] = {"betas": [2.0], "runs": 1, "inputs": 500, "sizes": [64, 128, 256]}
    (folder / "workflow/studies/real.yaml").write_text(yaml.safe_dump(ready | {"study": "real"}))
    code, printed = run(folder, "real")
    assert code == 0, printed
    found = tables(folder, "real")
    counts, models = found["counts"].set_index("criterion"), found["models"].set_index("model")
    assert models.neurons.to_dict() == {"l6-base": 6 * 1536, "l3-base": 3 * 1536}
    assert models.parameters["l6-base"] == 22_713_216
    strong = counts.loc["mutual_top1_r0.5"]
    assert strong["count"] > 10 * max(strong.null_permute, strong.null_untrained, 1)
    (pair,) = read_table(folder / "results/real/tables/audit.csv").to_dict("records")
    assert pair["verdict"] == "shared embeddings"
    assert found["fits"].alpha.isna().all()
    refused = read_json(folder / "results/real/tables/fits.json")
    assert not refused["fits"]
    assert "1 points are positive and a fit needs 3" in refused["refused"][0]["reason"]
    neurons = read_table(folder / "results/real/selectivity/study/l6-base.parquet")
    assert neurons.vocab_kurtosis.isna().all(), "an encoder without a head writes no tokens"
    assert neurons.token_information.notna().mean() > 0.9
    assert "shared embeddings" in (folder / "results/real/report/index.html").read_text()


def test_nulls_on_a_sample_of_all_neurons_are_those_of_all(finished):
    """`nulls.rows` takes another path: with as many rows as there are neurons it must end in the same counts."""
    name = study(finished, study="sampled", nulls={"rows": 10**6}, matching={"criteria": [{"k": 1}, {"k": 5}]})
    code, printed = run(finished, name)
    assert code == 0, printed
    expected, found = tables(finished)["counts"], tables(finished, name)["counts"]
    names = ["mutual_top1", "mutual_top5"]  # not the strict ones, which a sample cannot tell
    expected, found = (table[table.criterion.isin(names)].reset_index(drop=True) for table in (expected, found))
    columns = ["curve", "point", "criterion", "count", "null_iid", "equal_n_count", "calibrated_05"]
    columns += [f"null_{null}{end}" for null in NULLS for end in ("", "_low", "_high")]
    pd.testing.assert_frame_equal(found[columns], expected[columns])


def test_the_order_of_families_and_the_number_of_workers_do_not_matter(finished):
    families = yaml.safe_load((ROOT / "workflow/studies/smoke.yaml").read_text())["families"]
    name = study(finished, study="backwards", families=dict(reversed(families.items())))
    process = start(finished, name, "--cores", "1")
    assert process.wait() == 0, (finished / "printed").read_text()
    expected, found = tables(finished)["counts"], tables(finished, name)["counts"]
    pd.testing.assert_frame_equal(found, expected)


# -- every way to match finds the same -------------------------------------------------------------------------------

ENGINES = {
    "whole": {},
    "tiled": {"memory_mb": 16},
    "one_pass": {"placement": "one_pass"},
    "recomputed": {"placement": "recomputed", "memory_mb": 16},
    "sketched": {"engine": "sketch", "sketch_slots": 2048},
    "sketched_recomputed": {"engine": "sketch", "placement": "recomputed", "sketch_slots": 2048, "memory_mb": 100},
}


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Path:
    """A checkout with studies of networks of 384 neurons, which 16 MB cannot match at once."""
    folder = checkout(tmp_path_factory.mktemp("wide"))
    rungs = {f"r{i}": {"hidden_size": 8, "layers": 1, "heads": 2, "learning_rate": 1e-2} for i in (1, 2)}
    rungs["r3"] = {"hidden_size": 32, "layers": 3, "heads": 2, "learning_rate": 5e-3}
    families = yaml.safe_load((ROOT / "workflow/studies/smoke.yaml").read_text())["families"]
    families = {name: families[name] for name in ("neox", "bloom")}
    for name, matching in ENGINES.items():
        changes = {"matching": matching, "activations": {"batch_passages": 4}, "families": families}
        study(folder, study=name, ladder={"rungs": rungs}, curves={"neox-bloom": ["neox", "bloom"]}, **changes)
    return folder


PAIR = "neox-r3--bloom-r3"


def matches(folder: Path, name: str, *options: str) -> tuple[dict[str, pd.DataFrame], str]:
    """Matches and nulls of the largest pair, and what was printed."""
    files = [f"matches/{PAIR}/matches.parquet", *(f"nulls/{PAIR}/{null}.parquet" for null in NULLS)]
    files += [f"stability/{PAIR}/{kind}.parquet" for kind in ("half", "subset")]
    targets = [f"results/{name}/{file}" for file in files]
    code, printed = run(folder, name, *options, *targets)
    assert code == 0, printed
    return {file: read_table(folder / target) for file, target in zip(files, targets, strict=True)}, printed


@pytest.mark.parametrize("name", [name for name in ENGINES if name != "whole"])
def test_engines_placements_and_tiles_find_the_same(wide, name):
    expected, _ = matches(wide, "whole")
    found, printed = matches(wide, name)
    for file, table in expected.items():
        keys = ["draw"] * ("draw" in table) + ["neuron_a", "neuron_b"]
        pd.testing.assert_frame_equal(
            found[file].sort_values(keys, ignore_index=True),
            table.sort_values(keys, ignore_index=True),
            atol=1e-5,
            obj=f"{name} {file}",
        )
    assert ("rule match_tile" in printed or "tile 00001" in printed) == (name in ("tiled", "recomputed"))
    stored = list((wide / f"results/{name}/activations").rglob("shard-*.safetensors"))
    assert bool(stored) == (name in ("tiled", "sketched"))
    summary = read_json(wide / f"results/{name}/matches/{PAIR}/summary.json")
    assert summary["engine"] == ("sketch" if name.startswith("sketch") else "exact")
    assert ("certified_a" in summary) == (summary["engine"] == "sketch")


def test_finished_tiles_are_kept(wide):
    """What a kill leaves of the tiles of a pair is used: only the missing ones are matched."""
    expected, _ = matches(wide, "whole")
    name = "again"
    path = wide / "workflow/studies/tiled.yaml"
    (path.with_stem(name)).write_text(path.read_text().replace("study: tiled", f"study: {name}"))
    first = f"results/{name}/tiles/{PAIR}/real/00000.safetensors"
    assert run(wide, name, "--notemp", first)[0] == 0
    before = (wide / first).stat().st_mtime_ns
    found, printed = matches(wide, name, "--notemp")
    assert (wide / first).stat().st_mtime_ns == before
    assert f"{PAIR} (real), tile 00001" in printed
    assert f"{PAIR} (real), tile 00000" not in printed
    file = f"matches/{PAIR}/matches.parquet"
    pd.testing.assert_frame_equal(found[file], expected[file], atol=1e-5)


def test_the_plan_is_printed_before_anything_runs(wide):
    name = study(wide, study="planned", matching={"placement": "recomputed"})
    code, printed = run(wide, name, "plan")
    assert code == 0, printed
    assert "Matching of study planned: exact engine, activations recomputed" in printed
    assert "neox-r3--bloom-r3" in printed
    assert "GFLOP/s" in printed
    assert not (wide / f"results/{name}/units").exists()


@pytest.mark.parametrize(
    ("matching", "expected"),
    [
        ({"placement": "one_pass", "memory_mb": 20}, "matching.placement is one_pass, but matching.memory_mb = 20"),
        ({"placement": "stored", "scratch_gb": 1e-6}, "matching.scratch_gb is 1e-06; raise it"),
    ],
)
def test_budgets_that_cannot_hold_stop_the_run(wide, matching, expected):
    values = yaml.safe_load((wide / "workflow/studies/whole.yaml").read_text())
    values |= {"study": "budget", "matching": matching}
    (wide / "workflow/studies/budget.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    code, printed = run(wide, "budget", f"results/budget/matches/{PAIR}/matches.parquet")
    assert code != 0
    one_sentence(printed, expected)


# -- mistakes --------------------------------------------------------------------------------------------------------


def one_sentence(printed: str, *parts: str) -> None:
    lines = [line for line in printed.splitlines() if all(part in line for part in parts)]
    assert lines, printed


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
    families = local_families(finished)
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


def test_a_truncated_artifact_is_found_and_made_again(finished):
    results = finished / "results/smoke"
    expected = tables(finished)
    folder = results / "activations/study/neox-r1"
    layer = folder / "layers/shard-0000.safetensors"
    layer.write_bytes(layer.read_bytes()[:-50])
    code, printed = run(finished, "smoke", "--forcerun", "match_pair")
    assert code != 0
    one_sentence(
        printed,
        "error in match_pair",
        "shard-0000.safetensors",
        "damaged or truncated",
        f"folder {folder.relative_to(finished)}",
    )
    matches = [results / f"matches/neox-r1--{other}-r1/matches.parquet" for other in ("bloom", "llama")]
    assert not all(file.exists() for file in matches), "the failed job leaves nothing that looks whole"
    shutil.rmtree(folder)
    code, printed = run(finished, "smoke")
    assert code == 0, printed
    for name, table in tables(finished).items():
        pd.testing.assert_frame_equal(table, expected[name], check_exact=True, obj=name)


# -- the workflow itself ---------------------------------------------------------------------------------------------


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=folder, capture_output=True, text=True)


def test_lint_and_format(finished):
    linted = snakemake(finished, "--lint")
    assert linted.returncode == 0, linted.stderr
    assert subprocess.run([Path(sys.executable).with_name("snakefmt"), "--check", "Snakefile", "workflow/rules"],
                          cwd=ROOT).returncode == 0  # fmt: skip


def planned_jobs(folder: Path, *arguments: str) -> dict[str, int]:
    """How many jobs of every rule a dry run plans."""
    planned = snakemake(folder, "--dry-run", "--quiet", "rules", *arguments)
    assert planned.returncode == 0, planned.stderr
    lines = [line.split() for line in planned.stdout.splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


def test_a_dry_run_of_the_default_study_plans_everything(tmp_path):
    jobs = planned_jobs(checkout(tmp_path))
    assert jobs["train_model"] == jobs["extract_activations"] == 18
    assert jobs["match_pair"] == jobs["nulls"] == jobs["stability"] == 21
    assert jobs["selectivity"] == 18
    assert jobs["polarization"] == 6
    assert jobs["simulate_theory"] == 6, "one job per beta"
    for rule in ("corpus", "tables", "fits", "claims", "figures", "report"):
        assert jobs[rule] == 1, rule


def test_a_dry_run_of_the_smoke_study_plans_its_own_jobs(tmp_path):
    jobs = planned_jobs(checkout(tmp_path), "--configfile", "workflow/studies/smoke.yaml")
    assert jobs["train_model"] == 9
    assert jobs["rosetta_neurons"] == 9
    assert jobs["simulate_theory"] == 2
    assert jobs["fits"] == jobs["claims"] == jobs["report"] == 1


def test_a_study_without_a_name_is_not_run_as_the_default_one(finished):
    (finished / "nameless.yaml").write_text("units: {passage_bytes: 64}")
    refused = snakemake(finished, "--dry-run", "--configfile", "nameless.yaml")
    assert refused.returncode != 0
    one_sentence(refused.stdout + refused.stderr, "'study' is missing")


def test_another_study_is_not_merged_into_the_default_one(finished):
    printed = snakemake(finished, "--dry-run", "--forceall", "--configfile", "workflow/studies/smoke.yaml").stdout
    assert "results/smoke" in printed
    assert "results/ladder" not in printed
    assert printed.count("rule train_model") + printed.count("Train ") < 2 * 15
