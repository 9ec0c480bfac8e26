"""Checkouts of the project, and the study run in them as a user runs it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.jobs.opened import WATCH
from rosetta_scaling.schemas.names import FIT_TABLES, STUDY_TABLES
from rosetta_scaling.store.tables import read_table

ROOT = WORKFLOW.parent
SUPPORT = Path(__file__).parent  # modules that tests share, and the processes that tests start


def checkout(folder: Path) -> Path:
    """The project as a fresh clone has it: nothing computed."""
    folder.mkdir(exist_ok=True)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("config", "workflow", "envs"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """`make study` without the set-up, in a process group of its own; everything it prints goes to folder/printed.

    A job that opens a file of the study which its rule does not declare fails.
    """
    command = [sys.executable, "-m", "rosetta_scaling.jobs.run", "--cores", "2", *arguments]
    environment = os.environ | {"PYTHONPATH": str(folder / "workflow"), WATCH: "1"}
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


def tables(folder: Path, name: str = "smoke", names: Sequence[str] = (*STUDY_TABLES, *FIT_TABLES)) -> dict:
    """Tables of a study by name."""
    found = {table: read_table(folder / f"results/{name}/tables/{table}.csv") for table in names}
    if "models" in found:
        found["models"] = found["models"].drop(columns="train_seconds")  # the clock is the one thing that differs
    return found


def one_sentence(printed: str, *parts: str) -> None:
    lines = [line for line in printed.splitlines() if all(part in line for part in parts)]
    assert lines, printed


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "snakemake", *arguments], cwd=folder, capture_output=True, text=True)


def small_study(folder: Path, rungs: int = 1, **changes) -> str:
    """Two families, one curve, and as little of everything as there can be."""
    families = yaml.safe_load((ROOT / "workflow/studies/smoke.yaml").read_text())["families"]
    about = {
        "study": "small",
        "families": {name: families[name] | {"rungs": ["r1", "r2", "r3"][:rungs]} for name in ("neox", "bloom")},
        "curves": {"neox-bloom": ["neox", "bloom"]},
        "corpus": {"domains": ["docs", "translations"], "bytes_per_domain": 100_000},
        "ladder": {"tokens": 10_000},
        "matching": {"criteria": [{"k": 1}, {"k": 1, "min_r": 0.5}, {"k": 5}]},
        "selectivity": {"detection_neurons": 10},
        "theory": {"betas": [2.0], "sizes": [64, 128, 256], "runs": 1},
    }
    return study(folder, **about | changes)


def local_families(folder: Path, name: str) -> dict:
    """The networks that a study in this folder trained, as families of a study that takes them from their folders."""
    families: dict[str, dict] = {}
    for row in tables(folder, name, ["models"])["models"].itertuples():
        family = families.setdefault(row.family, {"source": "local", "models": {}})
        family["models"][row.rung] = str(folder / row.checkpoint)
    return families


@contextmanager
def mounted(path: Path, *options: str):
    """Something mounted on a folder, as root may; others skip the test and are told why."""
    path.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(["mount", *options, str(path)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"mounting needs root: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
