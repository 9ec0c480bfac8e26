"""A job opens only what its rule declares: the hook that watches it in whole studies."""

import subprocess
import sys

import pytest

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.study import load
from rosetta_scaling.jobs.opened import DeclaredFiles
from rosetta_scaling.layout.layout import Layout

RESULTS = "results/smoke"


def permits(path: str, *declared: str) -> bool:
    return DeclaredFiles(Layout(load(WORKFLOW / "studies/smoke.yaml"), "k"), declared).permits(path)


@pytest.mark.parametrize(
    ("path", "declared"),
    [
        ("elsewhere/x.csv", []),
        ("results/other/tables/counts.csv", []),
        (f"{RESULTS}/tables/counts.csv", [f"{RESULTS}/tables/counts.csv"]),
        (f"{RESULTS}/figures/a/b.svg", [f"{RESULTS}/figures"]),
        (f"{RESULTS}/activations/study/m/layers/shard", [f"{RESULTS}/activations/study/m/summary.json"]),
        (f"{RESULTS}/work/study/m/shard", []),
    ],
)
def test_what_is_declared_may_be_opened(path, declared):
    assert permits(path, *declared)


@pytest.mark.parametrize(
    ("path", "declared"),
    [
        (f"{RESULTS}/tables/counts.csv", [f"{RESULTS}/tables/count.csv", f"{RESULTS}/tables/counts.csv2"]),
        ("results/cache/corpora/k/documents.parquet", ["results/cache/corpora/other/manifest.json"]),
        (f"{RESULTS}/activations/study/m.untrained0/x", [f"{RESULTS}/activations/study/m/summary.json"]),
    ],
)
def test_what_is_not_declared_may_not_be_opened(path, declared):
    assert not permits(path, *declared)


def test_the_manifest_of_a_network_stands_for_its_folder():
    layout = Layout(load(WORKFLOW / "studies/smoke.yaml"), "k")
    weights, manifest = f"{layout.checkpoint('neox-r1')}/model.safetensors", layout.checkpoint_manifest("neox-r1")
    assert permits(weights, manifest)
    assert not permits(weights, layout.checkpoint_manifest("neox-r2"))


@pytest.mark.parametrize(
    ("code", "fails"),
    [
        ("open('results/smoke/tables/counts.csv')", False),
        ("open('results/smoke/tables/models.csv')", True),
        ("read_table('results/smoke/tables/models.parquet')", True),  # pyarrow opens it, not Python
        ("write_table('results/smoke/tables/counts.csv', DataFrame())", False),
        ("write_table('results/smoke/tables/models.parquet', DataFrame())", True),
        ("rmtree('results/smoke/tables')", False),
    ],
)
def test_a_job_that_opens_an_undeclared_file_ends_with_one_sentence(tmp_path, code, fails):
    for name in ("counts.csv", "models.csv", "models.parquet"):
        (tmp_path / RESULTS / "tables").mkdir(parents=True, exist_ok=True)
        (tmp_path / RESULTS / "tables" / name).write_text("a\n1\n")
    program = f"""if True:
        from shutil import rmtree
        from pandas import DataFrame
        from rosetta_scaling import WORKFLOW
        from rosetta_scaling.config.study import load
        from rosetta_scaling.jobs.opened import watch_opened_files
        from rosetta_scaling.layout.layout import Layout
        from rosetta_scaling.store.tables import read_table, write_table
        layout = Layout(load(WORKFLOW / "studies/smoke.yaml"), "k")
        watch_opened_files("fits", layout, ["results/smoke/tables/counts.csv"])
        {code}
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert ("StudyError: rule fits opens results/smoke/tables/models" in done.stderr) == fails, done.stderr
    assert bool(done.returncode) == fails, done.stderr
