"""Where the numbers come from: versions, commit, machine, hashes and times."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from rosetta_scaling import WORKFLOW
from rosetta_scaling.store.digests import file_sha256

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "pandas",
    "scipy",
    "statsmodels",
    "seaborn",
    "snakemake",
)


def environment() -> dict:
    """Commit, versions of packages, machine."""
    return {
        "code": _code(),
        "versions": {"python": platform.python_version()} | {p: importlib.metadata.version(p) for p in PACKAGES},
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
    }


def hashes(files: Iterable[Path]) -> list[dict]:
    """Path, sha256 and bytes of every file."""
    return [{"path": str(file), "sha256": file_sha256(file), "bytes": file.stat().st_size} for file in sorted(files)]


def _code() -> dict:
    """Commit of the working tree, and whether files differ from it; unknown outside a git checkout."""

    def git(*arguments: str) -> str | None:
        done = subprocess.run(["git", "-C", WORKFLOW, *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit, status = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", str(WORKFLOW))
    except FileNotFoundError:  # no git
        commit, status = None, None
    return {"commit": commit or "unknown", "dirty": bool(status)}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        return names[0] if names else platform.machine()
    return platform.processor() or platform.machine()


def first_start(benchmarks: Path) -> str | None:
    """When the first job began: a job writes its file when it ends, so its seconds are taken from the file's time."""
    starts = [file.stat().st_mtime - pd.read_csv(file, sep="\t").s[0] for file in benchmarks.rglob("*.tsv")]
    if not starts:
        return None
    return datetime.datetime.fromtimestamp(min(starts), datetime.UTC).isoformat(timespec="seconds")


def steps_of_rules(benchmarks: Path) -> list[dict]:
    """Jobs, seconds and largest memory of every rule, from the files that jobs write (RULE/ANYTHING.tsv)."""
    rows = []
    for file in sorted(benchmarks.rglob("*.tsv")):
        measured = pd.read_csv(file, sep="\t", na_values="-").iloc[0]
        rows.append({"rule": file.relative_to(benchmarks).parts[0], "seconds": measured.s, "rss": measured.max_rss})
    if not rows:
        return []
    grouped = pd.DataFrame(rows).groupby("rule", sort=False)
    return [
        {
            "rule": rule,
            "jobs": len(part),
            "seconds": round(float(part.seconds.sum()), 1),
            "max_rss_mb": None if part.rss.isna().all() else round(float(part.rss.max())),
        }
        for rule, part in grouped
    ]
