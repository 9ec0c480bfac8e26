"""What every job of the workflow does around its one library call: log, threads, device, and errors as one sentence."""

import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rosetta_scaling import WORKFLOW
from rosetta_scaling.jobs.forks import run_in_fork
from rosetta_scaling.jobs.logs import open_log, traceback_file
from rosetta_scaling.jobs.usage import Usage, usage_file
from rosetta_scaling.store.foreign import explained, keep_traceback

if TYPE_CHECKING:
    from rosetta_scaling.jobs.context import Job

DOWNLOADS = ("corpus", "download_model", "download_package", "judge_answers")  # the only rules that may use the network


def share_library() -> None:
    """Let the jobs of this process find this library, also in another environment (--sdm conda)."""
    folders = [str(WORKFLOW), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(os.pathsep.join(folders).split(os.pathsep)))


@contextlib.contextmanager
def job(snakemake) -> Iterator["Job"]:
    """Give what a script needs to know; log to the rule's log file and to the terminal.

    End with one sentence instead of a traceback when one helps.

    SIGTERM, by which SLURM says that the job is preempted, cancelled or out of time, ends it in good order too: nothing
    half written is left (store.atomic), and what long jobs have saved is continued by the next attempt.
    """
    rule = snakemake.rule
    if rule not in DOWNLOADS:
        os.environ["HF_HUB_OFFLINE"] = "1"
        if (code := run_in_fork()) is not None:
            sys.exit(code)
    # Here, since a script that runs in a fork needs none of it.
    from rosetta_scaling.jobs.context import Job
    from rosetta_scaling.jobs.memory import keep_freed_memory
    from rosetta_scaling.jobs.opened import WATCH, watch_opened_files

    keep_freed_memory()
    path, usage = Path(snakemake.log[0]), Usage()
    tracebacks = traceback_file(path)
    log = open_log(path, tracebacks)
    signal.signal(signal.SIGTERM, _end)
    in_slurm = f", SLURM job {os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else ""
    when, host = time.strftime("%Y-%m-%d %H:%M:%S"), socket.gethostname()
    logging.info("%s began at %s on %s, process %d%s", rule, when, host, os.getpid(), in_slurm)
    this = Job(snakemake)
    if WATCH in os.environ:
        declared = [*snakemake.input, *snakemake.output, *snakemake.log, str(tracebacks)]
        watch_opened_files(rule, this.layout, declared)
    try:
        yield this
        if snakemake.output:  # the rule `plan` only prints
            usage.write(usage_file(path))
    except SystemExit:
        log.error("%s was told to end (SIGTERM) after %.1f s", rule, usage.seconds)
        raise
    except KeyboardInterrupt:
        log.error("%s was interrupted (Ctrl-C) after %.1f s", rule, usage.seconds)
        sys.exit(128 + signal.SIGINT)
    except BaseException as error:
        if sentence := explained(error):
            if error.__cause__:
                keep_traceback(error)
                logging.info("the traceback is in %s", tracebacks)
            log.error("error in %s: %s", rule, sentence)
            sys.exit(1)
        logging.exception("%s failed", rule)
        raise
    logging.info("%s took %.1f s, peak memory %s", rule, usage.seconds, usage.memory())


def _end(number, frame):
    """End as by sys.exit, once: SLURM sends the signal several times, and tidying up shall not be interrupted."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)
