"""Run the smoke study and the companions here and at another commit, and say which results differ.

    python tests/support/compare_with_commit.py 3a92309

Both run on this machine: trained networks differ in their last bits between kinds of processors. Compared byte by byte
are all tables, claims, fits and the data of all figures; the seconds that training took are left out.
"""

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from study_runs import ROOT, checkout, run

COMPARED = ("tables/*", "report/figures/*.csv", "companions/**/*.csv", "companions/**/*.json")
RUNS = (("smoke",), ("", "companions"))
CLOCK = "train_seconds"


def results_of(folder: Path) -> dict[str, Path]:
    """All files that are compared, by their path below results/."""
    root = folder / "results"
    return {str(path.relative_to(root)): path for pattern in COMPARED for path in root.glob(f"*/{pattern}")}


def same(one: Path, other: Path) -> bool:
    if filecmp.cmp(one, other, shallow=False):
        return True
    if one.name != "models.csv":
        return False
    tables = (pd.read_csv(path).drop(columns=CLOCK, errors="ignore") for path in (one, other))
    return next(tables).equals(next(tables))


def differences(here: Path, there: Path) -> list[str]:
    """One line for every file that differs or is missing on one side."""
    ours, theirs = results_of(here), results_of(there)
    lines = [f"only here: {name}" for name in sorted(set(ours) - set(theirs))]
    lines += [f"only there: {name}" for name in sorted(set(theirs) - set(ours))]
    shared = sorted(set(ours) & set(theirs))
    return lines + [f"differs: {name}" for name in shared if not same(ours[name], theirs[name])]


def run_all(folder: Path) -> None:
    for arguments in RUNS:
        code, printed = run(folder, *arguments)
        if code:
            sys.exit(f"{' '.join(arguments)} failed in {folder}:\n{printed}")


def main(commit: str) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        here, there = checkout(Path(scratch) / "here"), Path(scratch) / "there"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(there)], check=True)
        subprocess.run(["git", "checkout", "--quiet", commit], cwd=there, check=True)
        for folder in (here, there):
            run_all(folder)
        found = differences(here, there)
    print("\n".join(found) or "all results are the same")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
