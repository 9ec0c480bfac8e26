"""Find SLURM jobs that outlived a killed run, and end them before the next run begins.

Two jobs must not write the same files. Running jobs may finish, because their results are used and may have taken
hours; jobs that are still in the queue are cancelled, because the next run submits them again.
"""

import os
import shutil
import subprocess
import sys
import time

PREFIX = "rosetta_"  # of the names of our jobs: slurm-jobname-prefix in profiles/slurm
POLL_SECONDS = 10


def end_orphans(folder: str, poll_seconds: float = POLL_SECONDS) -> None:
    """Cancel the pending jobs that were submitted from this folder and wait for the running ones."""
    if not shutil.which("squeue"):
        return
    pending = _jobs(folder, "PENDING")
    if pending:
        print(f"Cancelling {len(pending)} SLURM jobs that the killed run left in the queue.", file=sys.stderr)
        subprocess.run(["scancel", "--state=PENDING", *pending], check=False)
    if running := _jobs(folder):
        jobs = " ".join(running)
        print(f"Waiting for SLURM jobs of the killed run: {jobs}. To end them: scancel {jobs}", file=sys.stderr)
    while _jobs(folder):
        time.sleep(poll_seconds)


def _jobs(folder: str, states: str | None = None) -> list[str]:
    """Numbers of this user's unfinished jobs that a run in this folder submitted."""
    command = ["squeue", "--me", "--noheader", "--format=%i|%j|%Z", *([f"--states={states}"] if states else [])]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode:
        print(f"SLURM was not asked for jobs of the killed run: {asked.stderr.strip()}", file=sys.stderr)
        return []
    found = [line.split("|", 2) for line in asked.stdout.splitlines()]
    return [job for job, name, origin in found if name.startswith(PREFIX) and _same(origin, folder)]


def _same(a: str, b: str) -> bool:
    return os.path.realpath(a) == os.path.realpath(b)
