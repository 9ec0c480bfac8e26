"""What happens to studies: each fault ends in a sentence, nothing is lost, and the same command then ends in the same
tables as a run that nothing happened to."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from study_runs import checkout, mounted, one_sentence, run, small_study, start, tables

from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.tables import read_json, read_table

pytestmark = [pytest.mark.study(8), pytest.mark.timeout(1500)]

AUDIT = "results/small/tables/audit.csv"  # what all networks are trained for, and nothing more
POINT = "rosetta/neox-bloom/r1.counts.csv"


def assert_same_tables(folder: Path, undisturbed: Path) -> None:
    expected, found = tables(undisturbed, "small"), tables(folder, "small")
    for of in (expected, found):
        of["models"] = of["models"].drop(columns="checkpoint")  # where the cache is, is no result
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, check_exact=True, obj=name)


def assert_same_networks(folder: Path, undisturbed: Path, cache: str | Path = "results/cache") -> None:
    """The networks that a run in this folder trained, or found in this cache, are those of an undisturbed run."""
    found, expected = (
        sorted(file_sha256(path) for path in of.glob("checkpoints/*/model.safetensors"))
        for of in (folder / cache, undisturbed / "results/cache")
    )
    assert len(expected) == 2
    assert found == expected


def assert_completes(folder: Path, undisturbed: Path, *arguments: str) -> str:
    code, printed = run(folder, "small", *arguments)
    assert code == 0, printed
    assert_same_tables(folder, undisturbed)
    return printed


# -- damaged artifacts ---


def flip_a_bit(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 4
    path.write_bytes(raw)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("harm", "file", "reader"),
    [
        (flip_a_bit, "activations/study/neox-r1/layers/shard-0000.safetensors", "match_pair"),
        (cut_short, "nulls/neox-r1--bloom-r1/rotate.parquet", "tables"),
    ],
    ids=["bit of a shard", "truncated table"],
)
def test_damaged_files_are_named_and_made_again(copied, undisturbed, harm, file, reader):
    results = copied / "results/small"
    harm(results / file)
    code, printed = run(copied, "small", "--forcerun", reader)
    assert code != 0
    one_sentence(printed, "error in", file, "damaged or truncated", "delete it and run the study again")
    if reader == "match_pair":
        pair = results / "matches/neox-r1--bloom-r1/matches.parquet"
        assert not pair.exists(), "the failed job leaves nothing that looks whole"
    folder = results / file.split("/layers")[0]  # activations are made as a whole, and the sentence says so
    shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    assert_completes(copied, undisturbed)


# -- disks ---


def test_a_full_disk(undisturbed, tmp_path):
    folder = checkout(tmp_path)
    small_study(folder)
    with mounted(folder / "results", "-t", "tmpfs", "-o", "size=400k", "tmpfs"):  # for the corpus, not for its tokens
        code, printed = run(folder, "small")
        assert code != 0
        one_sentence(printed, "error in", "the disk is full; make room", "run the same command again")
        assert not list((folder / "results").rglob("*.part")), "nothing half written takes up the room"
        subprocess.run(["mount", "-o", "remount,size=500m", folder / "results"], check=True)
        code, printed = run(folder, "small", AUDIT)
        assert code == 0, printed
        assert_same_networks(folder, undisturbed)


def test_a_cache_that_can_only_be_read(undisturbed, tmp_path):
    """What it has is used, by all that read networks and texts; what it lacks is named."""
    folder, cache = checkout(tmp_path / "mine"), tmp_path / "theirs"
    shutil.copytree(undisturbed / "results/cache", cache)
    small_study(folder, cache_dir=str(cache))
    read = ["selectivity/study/neox-r1.parquet", "activations/study/bloom-r1.untrained0/summary.json"]
    with mounted(cache, "-o", "bind", str(cache)):
        subprocess.run(["mount", "-o", "remount,bind,ro", cache], check=True)
        code, printed = run(folder, "small", *[f"results/small/{file}" for file in read])
        assert code == 0, printed
        assert "rule train_model" not in printed
        found, expected = (read_table(of / "results/small" / read[0]) for of in (folder, undisturbed))
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        small_study(folder, cache_dir=str(cache), ladder={"tokens": 11_000})
        code, printed = run(folder, "small", "--until", "train_model")
        assert code != 0
        one_sentence(printed, "Read-only file system", str(cache))


# -- processes ---


def processes(folder: Path, script: str) -> list[int]:
    """Those that run the script of a rule for a workflow in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, where = (path / "cmdline").read_bytes().decode().split("\0"), os.readlink(path / "cwd")
        except OSError:
            continue  # it has ended meanwhile
        if where == str(folder) and any(word.endswith(f".{script}.py") for word in words):
            found.append(int(path.name))
    return found


def kill_a_job(folder: Path, script: str) -> None:
    """The workflow stops, and says so."""
    workflow = start(folder, "small")
    while not (running := processes(folder, script)):
        assert workflow.poll() is None, (folder / "printed").read_text()
        time.sleep(0.05)
    os.kill(running[0], signal.SIGKILL)
    assert workflow.wait() != 0
    assert f"Error in rule {script}" in (folder / "printed").read_text()


def wait_for_step(folder: Path, process: subprocess.Popen, percent: int) -> None:
    """Until so many percent of the steps of this run are done."""
    while process.poll() is None:
        done = [line for line in (folder / "printed").read_text().splitlines() if " steps (" in line]
        if done and int(done[-1].split("(")[1].split("%")[0]) >= percent:
            return
        time.sleep(0.05)
    raise AssertionError((folder / "printed").read_text())


def test_killed_and_resumed_equals_uninterrupted(undisturbed, tmp_path):
    """SIGKILL to a job, to everything, and to the driver alone with jobs running on, at several moments."""
    folder = checkout(tmp_path)
    small_study(folder)
    kill_a_job(folder, "train_model")
    left = folder / f"results/cache/.left.{socket.gethostname()}.{2**22 + 1}.part"  # no process has such a number
    for percent, everything in ((0, True), (20, False), (60, True)):
        process = start(folder, "small")
        left.write_text("as a kill in the middle of a write leaves it")
        time.sleep(8) if percent == 0 else wait_for_step(folder, process, percent)
        if everything:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            driver = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
            for pid in [str(process.pid), *driver]:
                os.kill(int(pid), signal.SIGKILL)
        process.wait()
    printed = assert_completes(folder, undisturbed)
    assert "continuing where it stopped" in printed
    for name in ("fits", "claims"):
        first, second = (read_json(one / f"results/small/tables/{name}.json") for one in (undisturbed, folder))
        assert first == second, name
    assert not list((folder / "results").rglob(".*.part")), "nothing half written is left behind"
    assert not list((folder / "results").rglob("work/*")), "nothing kept for a kill is left behind"


def test_the_order_of_families_and_the_number_of_workers_do_not_matter(copied, undisturbed):
    families = yaml.safe_load((copied / "workflow/studies/small.yaml").read_text())["families"]
    name = small_study(copied, study="backwards", families=dict(reversed(families.items())))
    code, printed = run(copied, name, "--cores", "1", f"results/{name}/{POINT}")
    assert code == 0, printed
    found, expected = (read_table(of / POINT) for of in (copied / f"results/{name}", undisturbed / "results/small"))
    pd.testing.assert_frame_equal(found, expected)


def test_two_studies_at_once_on_one_cache(undisturbed, tmp_path):
    """They wait for each other where both need the same, and train nothing twice."""
    folders = [checkout(tmp_path / name) for name in ("one", "two")]
    workflows = []
    for folder in folders:
        small_study(folder, cache_dir=str(tmp_path / "cache"))
        workflows.append(start(folder, "small", AUDIT))
    for folder, workflow in zip(folders, workflows, strict=True):
        assert workflow.wait() == 0, (folder / "printed").read_text()
    assert_same_networks(tmp_path, undisturbed, "cache")
    logs = [path.read_text() for folder in folders for path in (folder / "results").rglob("train_model/*.log")]
    assert len(logs) >= 2
    assert sum("already finished by another process" not in log for log in logs) == 2
    assert not list(tmp_path.rglob("*.part"))


# -- time and other people ---


def test_clocks_that_disagree_make_no_long_job_run_again(copied, undisturbed):
    """As where nodes whose clocks are minutes apart write files: Snakemake looks at the content of small ones.

    What reads large ones may be made again, to the same end.
    """
    dice = random.Random(0)
    for path in sorted((copied / "results").rglob("*")):
        moved = path.stat().st_mtime - dice.uniform(0, 1200)  # Snakemake refuses to work from the future
        os.utime(path, (moved, moved))
    printed = assert_completes(copied, undisturbed)
    long = "train_model|extract_activations|extract_untrained|match_pair|nulls|stability"
    assert not re.search(rf"(?m)^({long}) +\d+$", printed)


def test_a_model_folder_that_vanishes_while_the_study_runs(copied, undisturbed, tmp_path):
    models = {}
    for row in tables(undisturbed, "small")["models"].itertuples():
        models.setdefault(row.family, {})[row.rung] = str(tmp_path / row.model)
        shutil.copytree(undisturbed / row.checkpoint, tmp_path / row.model)
    families = {family: {"source": "local", "models": folders} for family, folders in models.items()}
    small_study(copied, study="local", families=families)
    lost = tmp_path / "bloom-r1"
    workflow = start(copied, "local", "results/local/tables/audit.csv")
    while not processes(copied, "register_model"):
        assert workflow.poll() is None, (copied / "printed").read_text()
        time.sleep(0.05)
    lost.rename(tmp_path / "elsewhere")
    assert workflow.wait() != 0
    assert str(lost) in (copied / "printed").read_text()
    (tmp_path / "elsewhere").rename(lost)
    code, printed = run(copied, "local", "results/local/tables/audit.csv")
    assert code == 0, printed
    assert set(read_table(copied / "results/local/tables/audit.csv").verdict) == {"independent"}
