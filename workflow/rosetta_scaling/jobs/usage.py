"""What a job took: its seconds, its processor time and its memory, in its log and in a file of its own.

Snakemake's `benchmark` looks at a process from time to time; a process knows its own figures exactly when it ends.
"""

import os
import resource
import sys
import time
from pathlib import Path

from rosetta_scaling.store.atomic import atomic


def usage_file(log: Path) -> Path:
    """Where the figures of a job stand: results/STUDY/logs/RULE/NAME.log -> results/STUDY/benchmarks/RULE/NAME.tsv."""
    study, name = str(log).rsplit(f"{os.sep}logs{os.sep}", 1)
    path = Path(study, "benchmarks", name).with_suffix(".tsv")
    return path if os.sep in name else path.parent / path.stem / path.name  # a rule with one job


class Usage:
    """What this process takes from here on; its processor time counts from its start, with what it has imported."""

    def __init__(self):
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def memory(self) -> str:
        """The most memory that was held, also on a GPU."""
        words = f"{_peak_bytes() / 1e6:,.0f} MB"
        torch = sys.modules.get("torch")  # if the job has needed it
        if torch and torch.cuda.is_available() and torch.cuda.is_initialized():
            words += f", {torch.cuda.max_memory_allocated() / 1e6:,.0f} MB of {torch.cuda.get_device_name()}"
        return words

    def write(self, path: Path) -> None:
        """One row with the names and units that Snakemake's benchmarks have: seconds, and memory in MB."""
        row = {"s": self.seconds, "cpu_time": sum(os.times()[:4]), "max_rss": _peak_bytes() / 2**20}
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:
            part.write_text("\t".join(row) + "\n" + "\t".join(f"{value:.2f}" for value in row.values()) + "\n")


def _peak_bytes() -> int:
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024  # Linux counts in KiB
