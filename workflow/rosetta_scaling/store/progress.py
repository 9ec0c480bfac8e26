"""Progress lines with remaining time and rate: one every few seconds, readable in a log as on a terminal."""

import logging
import time
from collections.abc import Callable


class Reporter:
    """Call it after every step; it logs `NAME: 40% (600 of 1,500), 25 s left, 36 a second, NOTE` now and then."""

    def __init__(self, log: logging.Logger, name: str, total: int, done: int = 0, *, every: float = 10):
        self.log, self.name, self.total, self.first, self.every = log, name, total, done, every
        self.began = self.last = time.monotonic()

    def __call__(self, done: int, note: str | Callable[[], str] = "") -> None:
        """note: says more; a function is only called when a line is logged."""
        now = time.monotonic()
        if now - self.last < self.every and done < self.total:
            return
        self.last = now
        rate = (done - self.first) / max(1e-9, now - self.began)
        left = (self.total - done) / rate if rate else 0.0
        self.log.info(
            "%s: %d%% (%s of %s), %.0f s left, %.3g a second%s",
            self.name,
            100 * done // self.total,
            f"{done:,}",
            f"{self.total:,}",
            left,
            rate,
            f", {note() if callable(note) else note}" if note else "",
        )
