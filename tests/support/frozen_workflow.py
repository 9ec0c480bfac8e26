"""Every job that Snakemake plans for a study, as text: what must not change when code only moves.

python tests/support/frozen_workflow.py            write the text of every shipped study to tests/support/golden/
"""

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

from snakemake.api import ConfigSettings, OutputSettings, ResourceSettings, SnakemakeApi
from snakemake.settings.types import DAGSettings, Quietness
from study_runs import ROOT, checkout

GOLDEN = Path(__file__).with_name("golden")
PYTHON = "3.11.7"  # the key of a corpus names the Python that reads it, which the recorded plans must not depend on
STUDIES = ("", *sorted(path.stem for path in (ROOT / "workflow/studies").glob("*.yaml")))


def planned_jobs(folder: Path, study: str) -> list[dict]:
    """Rule, inputs, outputs, params and priority of every job of a full run of a study in a checkout."""
    configured = [folder / f"workflow/studies/{study}.yaml"] if study else []
    quiet = OutputSettings(quiet={Quietness.ALL})
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        mock.patch("platform.python_version", return_value=PYTHON),
        SnakemakeApi(quiet) as api,
    ):
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=configured),
            snakefile=folder / "Snakefile",
        )
        workflow.dag(DAGSettings(forceall=True)).printrulegraph()  # builds the DAG without running anything
        dag = workflow._workflow.dag
        dag.update_priority()
        jobs = [described(job) for job in dag.jobs]
    return sorted(jobs, key=lambda job: json.dumps(job, sort_keys=True))


def described(job) -> dict:
    """What decides whether and when a job runs, and what it makes."""
    return {
        "rule": job.rule.name,
        "input": sorted(map(str, job.input)),
        "output": sorted(map(str, job.output)),
        "params": {name: value for name, value in job.params.items() if not callable(value)},
        "priority": job.priority,
    }


def frozen(jobs: list[dict], folder: Path) -> str:
    """One line per job; inputs and params of jobs are shortened to digests, so that large studies stay readable."""
    lines = []
    for job in jobs:
        short = {
            key: hashlib.sha256(json.dumps(job[key], sort_keys=True, default=str).encode()).hexdigest()[:12]
            for key in ("input", "params")
        }
        lines.append(f"{job['rule']} input {short['input']} params {short['params']} -> {' '.join(job['output'])}")
    return "\n".join(lines).replace(str(folder), ".") + "\n"


def main() -> None:
    os.environ.pop("PYTHONPATH", None)
    GOLDEN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        checkout(Path(folder))
        for study in STUDIES:
            jobs = planned_jobs(Path(folder), study)
            (GOLDEN / f"{study or 'default'}.txt").write_text(frozen(jobs, Path(folder)))
            print(study or "default", len(jobs), file=sys.stderr)


if __name__ == "__main__":
    main()
