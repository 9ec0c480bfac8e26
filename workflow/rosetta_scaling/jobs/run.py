"""Run or resume a study: what `make study` calls.

Snakemake leaves its lock behind when it is killed. This launcher holds a lock of its own, which the kernel releases
when Snakemake and the launcher have ended. So the next run knows that Snakemake's lock is stale, clears it and
continues. Jobs that outlive a killed run may finish, and their results are used: on this machine long jobs lock their
work folder, on a cluster orphans.py waits for them.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from rosetta_scaling import WORKFLOW
from rosetta_scaling.jobs.orphans import end_orphans
from rosetta_scaling.store.atomic import NO_LOCKS, sweep

LOCK = Path(".snakemake/rosetta-run.lock")


def configuration_of(study: str) -> Path | None:
    """File of a named study; None for the default study. Exits with a sentence when no study has that name."""
    if not study:
        return None
    path = WORKFLOW / "studies" / f"{study}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        sys.exit(f"no study is called '{study}': {path} does not exist; there are {', '.join(known)}")
    return path


def command_for(study: str, profile: str, *more: str) -> list[str]:
    """The call of Snakemake for a study; `more` comes first, since --configfile takes all arguments that follow it."""
    command = [sys.executable, "-m", "snakemake", *more]
    command += ["--workflow-profile", str(WORKFLOW / "profiles" / profile)]
    if configuration := configuration_of(study):
        command += ["--configfile", str(configuration)]
    return command


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", default="", help="name of a file in workflow/studies; default: config.yaml")
    parser.add_argument("--profile", default="default", help="name of a folder in workflow/profiles")
    parser.add_argument("--cores", help="number of cores, where the profile should not decide")
    arguments, more = parser.parse_known_args()
    if arguments.cores:
        more += ["--cores", arguments.cores]
    command = command_for(arguments.study, arguments.profile, *more)
    LOCK.parent.mkdir(exist_ok=True)
    with open(LOCK, "a+") as lock:
        locked = _take_lock(lock)
        lock.seek(0)
        if locked and lock.read():  # a run began and did not end: it was killed
            print("The last run was killed; continuing where it stopped.", file=sys.stderr)
            end_orphans(os.getcwd())
            subprocess.run([*command, "--unlock", "--quiet", "all"], check=False, stderr=subprocess.DEVNULL)
            sweep("results")
        _mark(lock, json.dumps({"command": command, "began": time.time()}))
        # Snakemake inherits the open lock, so the lock is free only when both have ended.
        with subprocess.Popen(command, pass_fds=[lock.fileno()]) as snakemake:
            code = _wait_out(snakemake)
        _mark(lock, "")
    return code


def _wait_out(process: subprocess.Popen) -> int:
    """Wait until Snakemake has ended; on Ctrl-C, which the terminal sends to both, Snakemake ends its jobs first."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def _take_lock(lock) -> bool:
    """Take the lock; False where the file system has no locks, so that Snakemake's own lock decides."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another run is active in this folder; waiting for it to end.", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def _mark(lock, text: str) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(text)
    lock.flush()


if __name__ == "__main__":
    sys.exit(main())
