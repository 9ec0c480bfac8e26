"""What every job of the workflow does around its one library call: log, threads, device, and errors as one sentence."""

import contextlib
import logging
import os
import resource
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rosetta_scaling.config import WORKFLOW
from rosetta_scaling.store import StudyError

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


DOWNLOADS = ("corpus", "download_model", "download_package", "judge_answers")  # the only rules that may use the network
CORPUS_KEY = "_corpus_key"  # how the workflow tells its jobs (see layout.Layout)


def share_library() -> None:
    """Let the jobs of this process find this library, also in another environment (--sdm conda)."""
    folders = [str(WORKFLOW), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(os.pathsep.join(folders).split(os.pathsep)))


@contextlib.contextmanager
def job(snakemake) -> Iterator[None]:
    """Log to the rule's log file and to the terminal; end with one sentence instead of a traceback on a StudyError."""
    if snakemake.rule not in DOWNLOADS:
        os.environ["HF_HUB_OFFLINE"] = "1"
    log_path = Path(snakemake.log[0])
    log_path.parent.mkdir(parents=True, exist_ok=True)
    handlers = [logging.FileHandler(log_path, mode="w"), logging.StreamHandler(sys.stderr)]
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers, force=True)
    logging.captureWarnings(True)
    handlers[1].addFilter(lambda record: record.name.startswith("rosetta_scaling"))
    log = logging.getLogger("rosetta_scaling")
    began, quiet = time.monotonic(), logging.getLogger()  # what `quiet` says is for the log only
    quiet.info(
        "%s began at %s on %s, process %d%s",
        snakemake.rule,
        time.strftime("%Y-%m-%d %H:%M:%S"),
        socket.gethostname(),
        os.getpid(),
        f", SLURM job {os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else "",
    )
    try:
        yield
    except StudyError as error:
        log.error("error in %s: %s", snakemake.rule, error)
        sys.exit(1)
    except BaseException:
        logging.exception("%s failed", snakemake.rule)
        raise
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6 * 1024  # Linux counts in kB
    quiet.info("%s took %.1f s, peak memory %s MB", snakemake.rule, time.monotonic() - began, f"{memory:,.0f}")


def _study(snakemake):
    from rosetta_scaling.config import parse

    return parse({key: value for key, value in snakemake.config.items() if key != CORPUS_KEY})


def layout(snakemake):
    """Names, paths and settings of the study that this job belongs to."""
    from rosetta_scaling.layout import Layout

    return Layout(_study(snakemake), snakemake.config[CORPUS_KEY])


def device(snakemake):
    """The device of this job, with its number of threads set."""
    from rosetta_scaling.devices import prepare

    return prepare(_study(snakemake).device, snakemake.threads)
