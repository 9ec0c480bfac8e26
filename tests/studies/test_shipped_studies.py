"""The studies that ship: what dry runs plan, and real pretrained networks from packages, to the end."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from study_runs import ROOT, checkout, run, snakemake, tables

from rosetta_scaling.store.tables import read_json, read_table

pytestmark = [pytest.mark.study(3), pytest.mark.timeout(1500)]


def test_lint_and_format(tmp_path):
    linted = snakemake(checkout(tmp_path), "--lint")
    assert linted.returncode == 0, linted.stderr
    files = ["Snakefile", "workflow/Snakefile", "workflow/rules"]
    assert subprocess.run([Path(sys.executable).with_name("snakefmt"), "--check", *files], cwd=ROOT).returncode == 0


def planned_jobs(folder: Path, *arguments: str) -> dict[str, int]:
    """How many jobs of every rule a dry run plans."""
    planned = snakemake(folder, "--dry-run", "--quiet", "rules", *arguments)
    assert planned.returncode == 0, planned.stderr
    lines = [line.split() for line in planned.stdout.splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


TABLES_AND_PAGES = dict.fromkeys(("corpus", "tables", "fits", "claims", "figures", "report"), 1)
JOBS = {  # that some of them plan, beside what all do
    "": {"train_model": 18, "extract_activations": 18, "selectivity": 18, "polarization": 6}
    | {"match_pair": 21, "nulls": 21, "stability": 21, "simulate_theory": 6}
    | {"companion_job": 6 + 5 + 4, "companion_report": 3},
    "smoke": {"train_model": 9, "rosetta_neurons": 9, "simulate_theory": 2},
}
TRAINED_HERE = (
    "",
    "bench",
    "companions-large",
    "depth-ladder",
    "filtering",
    "filtering-codesearch",
    "ladder",
    "ladder-large",
    "ladder-medium",
    "smoke",
    "vision",
    "vision-smoke",
)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """Whatever asks for an address finds nobody there, and whatever looks for a cache of the user finds none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HF_ENDPOINT", "http_proxy", "https_proxy", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.parametrize("name", ["", *sorted(path.stem for path in (ROOT / "workflow/studies").glob("*.yaml"))])
def test_every_study_is_planned_without_a_network(tmp_path, no_network, name):
    code, printed = run(checkout(tmp_path), name, "plan")
    assert code == 0, printed
    jobs = planned_jobs(tmp_path, *(["--configfile", f"workflow/studies/{name}.yaml"] if name else []))
    assert jobs.items() >= (TABLES_AND_PAGES | JOBS.get(name, {})).items()
    assert jobs["match_pair"] >= 1 or jobs["rescore"] >= 1
    assert ("To download: 0 bytes" in printed) == (name in TRAINED_HERE), printed


FEW_DRAWS = {  # so that a study of real networks ends within minutes
    "stability": {"bootstrap": 10, "subset_draws": 2, "planted": 10, "snapshots": [0.5]},
    "selectivity": {"detection_neurons": 10, "shuffles": 20},
    "polarization": {"draws": 100},
    "fits": {"coverage_draws": 50, "power_draws": 4},
    "theory": {"betas": [2.0], "runs": 1, "inputs": 500, "sizes": [64, 128, 256]},
}


def test_real_networks_from_packages(tmp_path):
    """The study of pretrained networks, with its two smallest: encoders, one point, no exponent, a common origin."""
    folder = checkout(tmp_path)
    ready = yaml.safe_load((ROOT / "workflow/studies/pretrained.yaml").read_text())
    ready["families"] = {name: {"source": "package", "models": {"base": f"minilm-{name}"}} for name in ("l6", "l3")}
    ready |= FEW_DRAWS | {
        "curves": {"l6-l3": ["l6", "l3"]},
        "corpus": {"domains": ["docs", "scripture"], "probe_bytes_per_domain": 2000},
    }
    ready["nulls"] |= {"rows": 200, "rotate_pre_draws": 2}
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


def test_real_networks_that_see_from_packages(tmp_path):
    """The study of pretrained networks that see, with its two smallest, on half of the photographs."""
    folder = checkout(tmp_path)
    ready = yaml.safe_load((ROOT / "workflow/studies/pretrained-vision.yaml").read_text())
    models = {"zero": "efficientnet-lite0", "one": "efficientnet-lite1"}
    seeing = {"modality": "image", "source": "package"}
    ready["families"] = {name: seeing | {"models": {"base": model}} for name, model in models.items()}
    ready |= FEW_DRAWS | {
        "curves": {"zero-one": ["zero", "one"]},
        "images": {"per_class": 4, "probe_per_class": 4},
    }
    ready["nulls"] |= {"rows": 200, "rotate_pre_draws": 2}
    (folder / "workflow/studies/seen.yaml").write_text(yaml.safe_dump(ready | {"study": "seen"}))
    code, printed = run(folder, "seen")
    assert code == 0, printed
    found = tables(folder, "seen")
    assert found["models"].set_index("model").neurons.to_dict() == {"zero-base": 8928, "one-base": 11616}
    assert len(read_table(folder / "results/seen/units/study/units.parquet")) == 16 * 8**2, "the grid of the larger one"
    strong = found["counts"].set_index("criterion").loc["mutual_top1_r0.7"]
    nulls = ("null_rotate_pre", "null_untrained", "null_shift", "null_gaussian")
    assert strong["count"] > 2 * max(strong[name] for name in nulls)
    (pair,) = read_table(folder / "results/seen/tables/audit.csv").to_dict("records")
    assert pair["verdict"] == "independent"
    assert (folder / "results/seen/report/images.html").exists()
