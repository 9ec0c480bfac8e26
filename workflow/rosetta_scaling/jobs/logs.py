"""The log of a job: what goes to its file, and what to the terminal."""

import logging
import sys
from pathlib import Path

from rosetta_scaling.store.foreign import TRACEBACKS

LOG_BYTES = 20 * 10**6


def traceback_file(log: Path) -> Path:
    """A file beside the log: of a job that fails the whole log is shown, and a traceback would hide the sentence."""
    return log.with_suffix(".traceback")


def open_log(path: Path, tracebacks: Path) -> logging.Logger:
    """Everything goes to the file, at most LOG_BYTES of it; what this library says goes to the terminal too.

    Tracebacks of errors that have a sentence go to a file of their own, which is only there when there are any.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tracebacks.unlink(missing_ok=True)
    TRACEBACKS.handlers = [_BoundedLog(tracebacks, mode="w", delay=True)]
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
