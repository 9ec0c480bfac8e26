"""How much of a run is done, and how long the rest will take: one line now and then, for all jobs together."""

import sys
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import TextIO

from rosetta_scaling.formatting import duration

SHORT = 60.0  # seconds below which a run says nothing
TRUSTED = 60.0  # seconds of a run for which what was expected counts as much as what was seen


class Outlook:
    """Says before a run how long it will take, and after every half a minute in which jobs ended what is left.

    `expected` are seconds of every job on one core, of which `at_a_time` are busy. The longer the run goes on, the more
    the rest is told by how long ended jobs took.
    """

    def __init__(
        self,
        expected: Mapping[Hashable, float],
        ended: Callable[[Hashable], bool],
        at_a_time: int,
        *,
        every: float = 30.0,
        out: TextIO = sys.stderr,
    ):
        self.expected, self.ended, self.at_a_time, self.every, self.out = expected, ended, at_a_time, every, out
        self.began, self.told = time.monotonic(), 0

    def start(self) -> None:
        """Say how long it will take, and go on in a thread that ends with the process."""
        whole = sum(self.expected.values()) / self.at_a_time
        if whole < SHORT:
            return
        print(
            f"{len(self.expected)} jobs, {self.at_a_time} at a time: about {duration(whole)} on this machine, if "
            "nothing else runs on it.",
            file=self.out,
            flush=True,
        )
        threading.Thread(target=self._go_on, daemon=True).start()

    def line(self) -> str | None:
        """What is done and what is left; None if no job ended since the last line, or none is left."""
        done = [seconds for job, seconds in self.expected.items() if self.ended(job)]
        if len(done) in (self.told, len(self.expected)):
            return None
        self.told = len(done)
        passed, rest = time.monotonic() - self.began, sum(self.expected.values()) - sum(done)
        slower = (passed + TRUSTED) / (sum(done) / self.at_a_time + TRUSTED)
        left = duration(rest / self.at_a_time * slower)
        return f"{len(done)} of {len(self.expected)} jobs are done after {duration(passed)}; about {left} left."

    def _go_on(self) -> None:
        while not all(map(self.ended, self.expected)):
            time.sleep(self.every)
            if line := self.line():
                print(line, file=self.out, flush=True)
