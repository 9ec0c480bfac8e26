"""What every job of the workflow does around its one library call: log, threads, device, and errors as one sentence."""

import contextlib
import errno
import logging
import os
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.study import Study, parse
from rosetta_scaling.jobs.opened import WATCH, watch_opened_files
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.store.digests import digest, file_states
from rosetta_scaling.store.errors import StudyError

if TYPE_CHECKING:
    import torch

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


DOWNLOADS = ("corpus", "download_model", "download_package", "judge_answers")  # the only rules that may use the network
LOG_BYTES = 20 * 10**6
AGAIN = "then run the same command again: it continues"
DISK = {
    errno.ENOSPC: f"the disk is full; make room, or set cache_dir to a folder on a larger disk, {AGAIN}",
    errno.EDQUOT: f"your quota of the disk is used up; make room, or set cache_dir to a folder elsewhere, {AGAIN}",
    errno.EROFS: f"the disk cannot be written to; set cache_dir to a folder that can, {AGAIN}",
    errno.EACCES: "permission is denied; ask the owner to let the group read and write there (umask 002, chmod -R "
    f"g+rwX), or set cache_dir to a folder of your own, {AGAIN}",
}
MORE_MEMORY = "let fewer jobs run at a time (--cores 1), or lower matching.memory_mb or activations.batch_passages"
CORPUS_KEY = "_corpus_key"  # how the workflow tells its jobs which corpus there is (see layout/keys.py)


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
    log = _open_log(Path(snakemake.log[0]))
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()
    in_slurm = f", SLURM job {os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else ""
    when, host = time.strftime("%Y-%m-%d %H:%M:%S"), socket.gethostname()
    logging.info("%s began at %s on %s, process %d%s", rule, when, host, os.getpid(), in_slurm)
    this = Job(snakemake)
    if WATCH in os.environ:
        watch_opened_files(rule, this.layout, [*snakemake.input, *snakemake.output, *snakemake.log])
    try:
        yield this
    except SystemExit:
        log.error("%s was told to end (SIGTERM) after %.1f s", rule, time.monotonic() - began)
        raise
    except BaseException as error:
        if sentence := explained(error):
            log.error("error in %s: %s", rule, sentence)
            sys.exit(1)
        logging.exception("%s failed", rule)
        raise
    logging.info("%s took %.1f s, peak memory %s", rule, time.monotonic() - began, _peak_memory())


def _open_log(path: Path) -> logging.Logger:
    """Everything goes to the file, at most LOG_BYTES of it; what this library says goes to the terminal too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    terminal = logging.StreamHandler(sys.stderr)
    handlers: list[logging.Handler] = [_BoundedLog(path, mode="w"), terminal]
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers, force=True)
    logging.captureWarnings(True)
    terminal.addFilter(lambda record: record.name.startswith("rosetta_scaling"))
    return logging.getLogger("rosetta_scaling")


class _BoundedLog(logging.FileHandler):
    """A log that cannot fill a disk: beyond LOG_BYTES only errors, and the first and last lines of a job."""

    full = False

    def emit(self, record):
        if self.full and record.levelno < logging.ERROR and record.name != "root":
            return
        super().emit(record)
        if self.stream and not self.full and self.stream.tell() > LOG_BYTES:
            self.full = True
            self.stream.write(f"[more than {LOG_BYTES:,} bytes: only errors from here on]\n")


def explained(error: BaseException) -> str | None:
    """The sentence for an error that the user can mend; None for one that is ours."""
    text = str(error)
    if isinstance(error, StudyError):
        return text
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return f"out of memory ({text.splitlines()[0] if text else 'a plain MemoryError'}); {MORE_MEMORY}"
    code = getattr(error, "errno", None)
    if code is None and (found := re.search(r"os error (\d+)", text)):  # safetensors tells it in its text only
        code = int(found[1])
    return f"{DISK[code]} ({getattr(error, 'filename', None) or text})" if code in DISK else None


def _peak_memory() -> str:
    memory = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6:,.0f} MB"  # Linux counts in KiB
    torch = sys.modules.get("torch")  # if the job has needed it
    if torch and torch.cuda.is_available() and torch.cuda.is_initialized():
        memory += f", {torch.cuda.max_memory_allocated() / 1e6:,.0f} MB of {torch.cuda.get_device_name()}"
    return memory


def _end(number, frame):
    """End as by sys.exit, once: SLURM sends the signal several times, and tidying up shall not be interrupted."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


class Job:
    """What a script needs to know beside its files: the study that the job belongs to, and the device."""

    def __init__(self, snakemake):
        self._snakemake = snakemake

    @cached_property
    def plan(self) -> StudyPlan:
        """The study with its names and paths, and what is planned for it."""
        config = self._snakemake.config
        study = parse({key: value for key, value in config.items() if key != CORPUS_KEY})
        return StudyPlan(Layout(study, config[CORPUS_KEY]))

    @property
    def layout(self) -> Layout:
        return self.plan.layout

    @property
    def study(self) -> Study:
        return self.plan.study

    @cached_property
    def device(self) -> "torch.device":
        """The device of this job, with its number of threads set; a warning tells of a GPU that is not used."""
        from rosetta_scaling.numerics.devices import prepare

        found, granted = prepare(self.study.device, self._snakemake.threads), os.environ.get("CUDA_VISIBLE_DEVICES")
        log = logging.getLogger("rosetta_scaling")
        if granted and found.type == "cpu":
            log.warning("computing on %s, though this job was given the GPU %s: torch finds none", found, granted)
        else:
            log.info("computing on %s", found)
        return found

    def work_folder(self, *names: str, content: bool = False) -> Path:
        """Folder in results/STUDY/work that only this job uses. It is not an output of the rule, so Snakemake does not
        delete it before a rerun.

        With `content`, its name encodes the inputs and params of the job, so that nothing older is found in it.
        """
        folder = Path(self.layout.work(*names))
        if not content:
            return folder
        params, inputs = self._snakemake.params, self._snakemake.input
        return folder / digest([dict(params.items()), file_states(inputs)])
