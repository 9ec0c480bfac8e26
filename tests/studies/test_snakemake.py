"""The workflow as people use Snakemake: from another folder, with results elsewhere, with a profile and names of their
own, and for the matched pairs alone."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from study_runs import ROOT, checkout, mounted, one_sentence, run, small_study, snakemake, start

from rosetta_scaling.activations.sources import StoredActivations
from rosetta_scaling.config.parsing import parse
from rosetta_scaling.jobs.run import unwritable
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.stages.networks import check_models, check_paths
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json, read_table

pytestmark = [pytest.mark.study(4), pytest.mark.timeout(1500)]

ODD = "a '\"%s#$HOME;&\\*?[x]ü(,=@!`|~"  # what the name of a folder may hold, but for what Snakemake reads as names
PAIR = "neox-r1--bloom-r1"


# -- the pairs alone, from another folder ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    """A folder with an oddly named project, a copied profile, the folder named by --directory, and the disk on which
    its results are."""
    top = tmp_path_factory.mktemp("elsewhere")
    folder = checkout(top / ODD)
    small_study(folder)
    (folder / "workflow/profiles/default").rename(top / "profile")
    (top / "disk").mkdir()
    (top / "directory").mkdir()
    (top / "directory/results").symlink_to(top / "disk")
    return top


@pytest.fixture(scope="module")
def printed(elsewhere) -> str:
    """What is printed of the target `matches`, started from the folder above."""
    done = snakemake(elsewhere, *arguments("matches", "--cores", "2"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def arguments(*more: str) -> list[str]:
    study = ["--configfile", f"{ODD}/workflow/studies/small.yaml"]
    return [
        "--snakefile",
        f"{ODD}/Snakefile",
        "--directory",
        "directory",
        "--workflow-profile",
        "profile",
        *more,
        *study,
    ]


def test_results_are_where_the_link_leads(elsewhere, printed):
    assert (elsewhere / f"disk/small/matches_without_nulls/{PAIR}/matches.parquet").is_file()
    assert {path.name for path in elsewhere.iterdir()} == {ODD, "profile", "directory", "disk"}
    assert not (elsewhere / ODD / "results").exists()
    assert (elsewhere / "directory/results").is_symlink()


def test_the_matches_alone_are_those_of_the_activations(elsewhere, printed):
    results = elsewhere / "disk/small"
    a, b = (
        np.concatenate([chunk.double().numpy() for chunk in StoredActivations(folder).chunks()], axis=1)
        for folder in (results / f"activations/study/{model}" for model in PAIR.split("--"))
    )
    r = np.corrcoef(a, b)[: len(a), len(a) :]
    expected = {(i, int(r[i].argmax())) for i in range(len(a)) if r[:, r[i].argmax()].argmax() == i}
    table = read_table(results / f"matches_without_nulls/{PAIR}/matches.parquet")
    best = table[(table.rank_a == 1) & (table.rank_b == 1)]
    assert set(zip(best.neuron_a, best.neuron_b, strict=True)) == expected
    assert expected
    np.testing.assert_allclose(best.r, r[best.neuron_a, best.neuron_b], atol=1e-5)
    assert {"layer_a", "channel_b", "margin_a"} <= set(table.columns)


def test_they_wait_for_no_null_and_say_that_none_stands_beside_them(elsewhere, printed):
    results = elsewhere / "disk/small"
    assert not (results / "nulls").exists()
    assert not list(results.glob("activations/study/*untrained*"))
    table = read_table(results / f"matches_without_nulls/{PAIR}/matches.parquet")
    assert not {"q_a", "q_b", "excess_a", "excess_b"} & set(table.columns), "what only nulls can tell"
    summary = read_json(results / f"matches_without_nulls/{PAIR}/summary.json")
    assert summary["nulls"].startswith("no null stands beside them")
    assert summary["matches"] == ((table.rank_a > 0) & (table.rank_b > 0)).sum() > 0
    one_sentence(printed, "results/small/matches_without_nulls/", "no null stands beside them")


def test_nothing_is_matched_before_the_audit(elsewhere, printed):
    results = elsewhere / "disk/small"
    assert set(read_table(results / "audit/r1.csv").verdict) == {"independent"}
    matched = results / f"matches_without_nulls/{PAIR}/matches.parquet"
    assert (results / "audit/r1.csv").stat().st_mtime < matched.stat().st_mtime


def test_one_rule_can_be_run_again_by_itself(elsewhere, printed):
    """And no other does, though the folder of the project is oddly named and results are behind a link."""
    for forced, expected in (([], {"matches"}), (["match_without_nulls"], {"match_without_nulls", "matches"})):
        done = snakemake(elsewhere, *arguments("matches", "--dry-run", *(["--forcerun", *forced] if forced else [])))
        rows = [line.split() for line in done.stdout.splitlines()]
        assert {row[0] for row in rows if len(row) == 2 and row[1].isdigit()} == expected | {"total"}, done.stdout


@pytest.mark.parametrize("pause", [0.05, 1.0], ids=["at once", "while it ends its jobs"])
def test_ctrl_c_twice_and_again(elsewhere, printed, tmp_path, pause):
    """The second one cuts short how Snakemake tidies up; the next run does that, and ends in the same matches."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests without it
    folder = checkout(tmp_path)
    small_study(folder, cache_dir=str(elsewhere / "disk/cache"))
    workflow = start(folder, "small", "matches")
    while "Read the neurons" not in (folder / "printed").read_text():
        assert workflow.poll() is None, (folder / "printed").read_text()
        time.sleep(0.05)
    for _ in range(2):
        os.killpg(workflow.pid, signal.SIGINT)
        time.sleep(pause)
    assert workflow.wait() != 0
    one_sentence((folder / "printed").read_text(), "Interrupted: run the same command again")
    code, said = run(folder, "small", "matches")
    assert code == 0, said
    found, expected = (
        results / f"small/matches_without_nulls/{PAIR}/matches.parquet"
        for results in (folder / "results", elsewhere / "disk")
    )
    assert found.is_file(), said
    assert found.read_bytes() == expected.read_bytes()
    assert not list((folder / "results").rglob(".*.part"))


def test_make_has_the_target():
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "-C", ROOT, "matches", "STUDY=smoke"], capture_output=True, text=True
    )
    one_sentence(done.stdout, "rosetta_scaling run", "smoke", "--profile default matches")


# -- other ways to start -----------------------------------------------------------------------------------------------


def test_another_folder_without_a_study_runs_the_default_one_by_its_own_library(tmp_path):
    folder = checkout(tmp_path / "project")
    with open(folder / "workflow/rosetta_scaling/versions.py", "a") as library:
        library.write("import sys\nprint('read from', __file__, file=sys.stderr)\n")
    (tmp_path / "directory").mkdir()
    done = snakemake(tmp_path, "--snakefile", "project/Snakefile", "--directory", "directory", "--dry-run", "audit")
    assert done.returncode == 0, done.stderr
    one_sentence(done.stderr, "read from", str(folder))
    assert "train_model" in done.stdout


def test_another_workflow_imports_this_one(tmp_path):
    """Three lines of another Snakefile; jobs get the study that they name, and the results lie beside it."""
    study = small_study(checkout(tmp_path / "project"))
    (tmp_path / "Snakefile").write_text(f"""
configfile: "project/workflow/studies/{study}.yaml"
module rosetta:
    snakefile: "project/workflow/Snakefile"
    config: config
use rule * from rosetta
""")
    done = snakemake(tmp_path, "--cores", "1", "--until", "corpus")
    assert done.returncode == 0, done.stderr
    (manifest,) = (tmp_path / "results/cache/corpora").glob("*/manifest.json")
    assert list(read_json(manifest)["domains"]) == ["docs", "translations"]
    planned = snakemake(tmp_path, "--dry-run").stdout
    assert "Write the report" in planned


def test_jobs_start_without_a_limit(tmp_path):
    """Under one, Snakemake looks at everything that waits ever more often (see workflow/Snakefile)."""
    name = small_study(checkout(tmp_path))
    study = ["--configfile", f"workflow/studies/{name}.yaml"]
    done = snakemake(tmp_path, "--cores", "1", "--until", "corpus", "--verbose", *study)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"'_job_count': (\d+)", done.stderr)) == {str(sys.maxsize)}


def test_the_folder_that_the_catalog_tests_plans_the_smoke_study():
    planned = snakemake(ROOT, "--directory", ".test", "--dry-run").stdout
    assert "results/smoke/report/index.html" in planned


def test_the_profile_of_an_oddly_named_project_is_used(elsewhere):
    """Snakemake takes *, ? and [ in its path for a pattern, and says nothing when no profile matches it."""
    folder = checkout(elsewhere / "other[x]")
    small_study(folder)
    (folder / "workflow/profiles/default/config.yaml").write_text("printshellcmds: true\nunknown-option: true\n")
    code, said = run(folder, "small", "--dry-run", "audit")
    assert code
    assert "unknown-option" in said


# -- names -------------------------------------------------------------------------------------------------------------


def layout_of(folder: str, **changes) -> Layout:
    sizes = {"r1": {"hidden_size": 8, "layers": 1, "heads": 2, "learning_rate": 0.01}}
    families = {name: {"architecture": "bloom", "vocabulary": 300, "seed": seed} for seed, name in enumerate("ab")}
    values = {"study": "names", "ladder": {"rungs": sizes}, "families": families, "curves": {"c": ["a", "b"]}}
    layout = Layout(parse(values | changes), "corpus")
    check_paths(layout)
    check_models(layout)
    return layout


@pytest.mark.parametrize("name", ["braces{x}", "{", "<results>", "a}b"])
def test_what_snakemake_reads_as_a_name_is_refused_with_the_folder(name):
    local = {"source": "local", "models": {"r1": f"/models/{name}"}}
    settings = [
        ("families.l.models.r1", {"families": {"l": local, "m": local}, "curves": {"c": ["l", "m"]}}),
        ("cache_dir", {"cache_dir": f"/models/{name}"}),
        ("judge.answers", {"judge": {"answers": f"/models/{name}"}}),
        ("selectivity.embedding", {"selectivity": {"embedding": f"/models/{name}"}}),
    ]
    for key, changes in settings:
        with pytest.raises(StudyError, match="rename it, or name a symbolic link") as refused:
            layout_of(name, **changes)
        assert f"{key} is '/models/{name}'" in str(refused.value)


@pytest.mark.parametrize("spelled", ["results/cache", "./results//cache/", "results/x/../cache"])
def test_the_cache_is_spelled_in_one_way(spelled):
    """Snakemake compares paths letter by letter."""
    assert layout_of(spelled, cache_dir=spelled).cache == "results/cache"


@pytest.mark.parametrize(
    ("spelled", "said"),
    [("", "at least 1 character"), (".", "the working folder itself"), ("./", "the working folder")],
)
def test_the_working_folder_is_no_cache(spelled, said):
    with pytest.raises(StudyError, match=said):
        layout_of(spelled, cache_dir=spelled)


def test_braces_are_refused_before_anything_runs(tmp_path):
    """In the name of a model's folder, of the project."""
    folder = checkout(tmp_path / "plain")
    models = {"source": "local", "models": {"r1": str(tmp_path / "braces{x}")}}
    bloom = {"architecture": "bloom", "vocabulary": 360}
    small_study(folder, families={"local": models, "bloom": bloom}, curves={"c": ["local", "bloom"]})
    braces = checkout(tmp_path / "a{x}b")
    small_study(braces)
    for place, parts in ((folder, ["families.local.models.r1", "braces{x}"]), (braces, ["the project", "a{x}b"])):
        code, said = run(place, "small", "--dry-run")
        assert code
        one_sentence(said, *parts, "Snakemake does not read { } in a path as they stand")
        assert "Traceback" not in said


# -- folders that cannot be written to ---------------------------------------------------------------------------------


def test_results_that_can_only_be_read(tmp_path):
    folder = checkout(tmp_path)
    small_study(folder)
    with mounted(folder / "results", "--bind", str(folder / "results")):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder / "results"], check=True)
        code, said = run(folder, "small", "matches")
        assert code
        one_sentence(said, f"{folder}/results cannot be written to", "make it writable")


def test_a_project_that_can_only_be_read(tmp_path):
    folder = checkout(tmp_path / "project")
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        command = [sys.executable, "-m", "rosetta_scaling.jobs.run", "smoke"]
        environment = os.environ | {"PYTHONPATH": str(folder / "workflow")}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode
    assert done.stderr.startswith(f"{folder} cannot be written to")
    assert len(done.stderr.splitlines()) == 1


def test_a_link_to_nowhere(tmp_path):
    (tmp_path / "results").symlink_to("/nowhere")
    assert "a symbolic link to /nowhere, which does not exist: make it" in unwritable(tmp_path / "results")
    assert unwritable(tmp_path, tmp_path / "missing") is None
