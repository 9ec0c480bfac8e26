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
import signal
import subprocess
import sys
import time
from pathlib import Path

from rosetta_scaling import WORKFLOW
from rosetta_scaling.jobs.forks import fork_server
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
    # Relative to here, since Snakemake takes *, ? and [ in the path of a profile for a pattern, which then finds none.
    command += ["--workflow-profile", os.path.relpath(WORKFLOW / "profiles" / profile)]
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
    if reason := unwritable(LOCK.parent if LOCK.parent.exists() else Path()):
        sys.exit(reason)
    LOCK.parent.mkdir(exist_ok=True)
    with open(LOCK, "a+") as lock:
        locked = _take_lock(lock)
        lock.seek(0)
        continued = bool(locked and lock.read())  # a run began and did not end: it was killed or interrupted
        if continued:
            print("The last run was killed; continuing where it stopped.", file=sys.stderr)
            end_orphans(os.getcwd())
            subprocess.run([*command, "--unlock", "--quiet", "all"], check=False, stderr=subprocess.DEVNULL)
            sweep("results")
        _mark(lock, json.dumps({"command": command, "began": time.time()}))
        audits = _when_audited()
        for _ in range(2):
            # Snakemake inherits the open lock, so it is free only when both are gone.
            with fork_server(), subprocess.Popen(command, pass_fds=[lock.fileno()]) as snakemake:
                code, interrupts = _wait_out(snakemake)
            again = continued or not audits.items() <= _when_audited().items()
            if code or interrupts or not again:
                break
        if not interrupts:  # Ctrl-C may cut short how Snakemake tidies up, so the next run does that
            _mark(lock, "")
    if interrupts:
        print("Interrupted: run the same command again, and it continues.", file=sys.stderr)
    if code and (reason := unwritable(Path("results"))):
        print(reason, file=sys.stderr)
    return code


def unwritable(*folders: Path) -> str | None:
    """The sentence for the first folder that a run cannot write to; None if all that exist can be written to."""
    for folder in folders:
        if folder.is_symlink() and not folder.exists():
            target = folder.readlink()
            return f"{folder} is a symbolic link to {target}, which does not exist: make it, or remove the link"
        if folder.exists() and not os.access(folder, os.W_OK):
            return (
                f"{folder.absolute()} cannot be written to, since its disk can only be read or it belongs to somebody "
                "else: make it writable, then run the same command again"
            )
    return None


def _when_audited() -> dict[Path, int]:
    """When each audit was made.

    Snakemake does not ask what else has changed for jobs that wait for an audit which it makes again, since their
    networks are those of before. So it may make the audit and end; a second pass does the rest.
    """
    return {path: path.stat().st_mtime_ns for path in Path("results").glob("*/audit/*.csv")}


def _wait_out(process: subprocess.Popen) -> tuple[int, int]:
    """Wait for the end: the exit code, and how often the user pressed Ctrl-C.

    The terminal sends it to Snakemake too, which ends its jobs and then itself.
    """
    interrupts = []
    signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    return process.wait(), len(interrupts)


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
