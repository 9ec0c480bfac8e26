"""Run a study and print what its jobs spend in imports, by rule, in seconds of processor.

    python tests/support/import_cost.py smoke
    python tests/support/import_cost.py small        the smallest study of the tests

Seconds of processor hardly depend on what else the machine does.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from study_runs import SUPPORT, checkout, small_study

COLUMNS = ["script", "imports", "all", "loaded"]


def measured(folder: Path, study: str) -> pd.DataFrame:
    """One row per Python process of a run of a study in a checkout."""
    clock = folder / "imports.tsv"
    path = os.pathsep.join([str(SUPPORT / "import_clock"), str(folder / "workflow")])
    environment = os.environ | {"PYTHONPATH": path, "IMPORT_CLOCK": str(clock)}
    command = [sys.executable, "-m", "rosetta_scaling", "run", "--cores", "2", study]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return pd.read_csv(clock, sep="\t", names=COLUMNS, keep_default_na=False)


def by_rule(processes: pd.DataFrame) -> pd.DataFrame:
    """Jobs, their seconds in imports and in all, and what any of them loaded; `snakemake` is the run itself."""
    scripts = processes.script.map(lambda script: Path(script).name.split(".")[-2] if ".py" in script else "snakemake")
    rules = processes.groupby(scripts.rename("rule")).agg(
        jobs=("imports", "size"), imports=("imports", "sum"), all=("all", "sum"), loaded=("loaded", "max")
    )
    return rules.sort_values("imports", ascending=False)


def main(study: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = checkout(Path(scratch))
        small_study(folder)
        rules = by_rule(measured(folder, study))
    print(rules.round(1).to_string())
    print(f"{rules.imports.sum():.0f} of {rules['all'].sum():.0f} seconds of processor are spent in imports")


if __name__ == "__main__":
    main(sys.argv[1])
