"""How far a study is: `make status`. Snakemake says what is done and what waits, the logs what runs and what failed.

It only reads, so it can be called at any time, from any machine that sees the results, whether the study runs or not.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from rosetta_scaling.jobs.run import command_for, configuration_of

BEGAN = re.compile(r"(?P<rule>\w+) began at (?P<time>\S+ \S+) on (?P<host>\S+), process (?P<process>\d+)")
ENDED = re.compile(r"(?P<rule>\w+) took (?P<seconds>[\d.]+) s, peak memory (?P<memory>[\d,]+) MB")
SILENT = 900.0  # seconds without a line after which a job on another machine is no longer taken for running


@dataclass(frozen=True)
class Job:
    """What the log of a job says. `state` is done, running, failed or stopped; `line` is the last informative line."""

    name: str
    rule: str
    state: str
    seconds: float | None
    memory_mb: int | None
    line: str


def read_log(path: Path, folder: Path) -> Job | None:
    """The job of a log below `folder`; None for a log that no job has written to yet."""
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    begun = next((found for line in lines if (found := BEGAN.search(line))), None)
    if begun is None:
        return None
    name, last = str(path.relative_to(folder).with_suffix("")), lines[-1]
    if ended := ENDED.search(last):
        return Job(name, begun["rule"], "done", float(ended["seconds"]), int(ended["memory"].replace(",", "")), last)
    errors = [line for line in lines if line.startswith("error in ") or re.match(r"[\w.]*(Error|Exception)\b", line)]
    if errors:
        return Job(name, begun["rule"], "failed", None, None, errors[-1])
    silent = time.time() - path.stat().st_mtime
    here = begun["host"] == socket.gethostname()
    runs = Path(f"/proc/{begun['process']}").exists() if here and os.path.isdir("/proc/self") else silent < SILENT
    return Job(name, begun["rule"], "running" if runs else "stopped", None, None, last)


def read_logs(folder: Path) -> list[Job]:
    """All jobs that have written a log below `folder`."""
    found = (read_log(path, folder) for path in sorted(folder.rglob("*.log")))
    return [job for job in found if job]


def stages(jobs: Iterable[Job], all_jobs: dict[str, int], missing: dict[str, int]) -> pd.DataFrame:
    """One row per rule, in the order of `all_jobs`.

    Both dictionaries hold a number of jobs per rule: of the whole study, and of what is not there or outdated. Columns:
    done, running, failed, waiting, seconds (median of the finished jobs), hours_left (of one job after the other; NaN
    when no job of the rule has finished yet).
    """
    rows, jobs = [], list(jobs)
    for rule, total in all_jobs.items():
        of_rule, left = [job for job in jobs if job.rule == rule], missing.get(rule, 0)
        states = [job.state for job in of_rule]
        running, failed = (min(left, states.count(state)) for state in ("running", "failed"))
        seconds = pd.Series([job.seconds for job in of_rule if job.seconds is not None], dtype=float).median()
        rows.append(
            {
                "stage": rule,
                "done": total - left,
                "running": running,
                "failed": min(failed, left - running),
                "waiting": left - running - min(failed, left - running),
                "seconds": seconds,
                "hours_left": left * seconds / 3600 if left else 0.0,
            }
        )
    return pd.DataFrame(rows)


def status_text(table: pd.DataFrame, jobs: Iterable[Job]) -> str:
    """The table, what is left, and a line for every job that runs, failed or was stopped."""
    lines = [table.to_string(index=False, float_format="{:.2f}".format, na_rep="?")]
    left = table[["running", "failed", "waiting"]].sum().sum()
    total = table.done.sum() + left
    at_a_time = max(1, int(table.running.sum()))
    unknown = table[table.hours_left.isna()].stage.tolist()
    known = f"about {table.hours_left.sum() / at_a_time:.2f} hours with {at_a_time} at a time"
    lines.append(
        f"{total - left} of {total} jobs are done"
        + (f"; {known}" if left else "")
        + (f", and what has not run yet: {', '.join(unknown)}" if unknown else "")
        + "."
    )
    unfinished = set(table[table.running + table.failed + table.waiting > 0].stage)
    lines += [f"{job.state}: {job.name}: {job.line}" for job in jobs if job.state != "done" and job.rule in unfinished]
    return "\n".join(lines)


def planned(command: list[str], *more: str) -> dict[str, int]:
    """Jobs per rule that a dry run counts, without the target itself."""
    printed = subprocess.run([*command, "--dry-run", "--quiet", "rules", *more], capture_output=True, text=True)
    if printed.returncode:
        sys.exit(printed.stderr.strip() or printed.stdout.strip())
    lines = [line.split() for line in printed.stdout.splitlines()]
    counted = {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    return {rule: count for rule, count in counted.items() if rule not in ("all", "total")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default="", help="name of a file in workflow/studies; default: config.yaml")
    parser.add_argument("--profile", default="default", help="name of a folder in workflow/profiles")
    parser.add_argument("--every", type=float, help="print it again after so many seconds, until all is done")
    arguments = parser.parse_args()
    command = command_for(arguments.study, arguments.profile)
    configuration = configuration_of(arguments.study) or Path("config.yaml")
    logs = Path("results") / yaml.safe_load(configuration.read_text())["study"] / "logs"
    while True:
        jobs, missing = read_logs(logs), planned(command)
        print(status_text(stages(jobs, planned(command, "--forceall"), missing), jobs), flush=True)
        if not arguments.every or not missing:
            return
        time.sleep(arguments.every)


if __name__ == "__main__":
    main()
