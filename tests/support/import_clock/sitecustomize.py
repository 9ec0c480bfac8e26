"""Every Python process that finds this file counts the seconds of processor that it spends in imports, lazy ones too.

When it ends it adds a line to the file that IMPORT_CLOCK names: its script, these seconds, all its seconds, and which
of the libraries that take long to load it has loaded.
"""

import atexit
import builtins
import os
import sys
import time

HEAVY = ("torch", "transformers", "sklearn", "statsmodels", "scipy", "matplotlib", "pandas", "huggingface_hub")

inner = builtins.__import__
depth, spent = 0, 0.0


def timed(*arguments, **options):
    global depth, spent
    began, depth = time.process_time(), depth + 1
    try:
        return inner(*arguments, **options)
    finally:
        depth -= 1
        if depth == 0:
            spent += time.process_time() - began


def start_again() -> None:
    """In a fork: what was imported before is counted where it was imported."""
    global spent
    spent = 0.0


def tell() -> None:
    loaded = " ".join(name for name in HEAVY if name in sys.modules)
    with open(os.environ["IMPORT_CLOCK"], "a") as file:
        file.write(f"{sys.argv[0]}\t{spent:.3f}\t{time.process_time():.3f}\t{loaded}\n")


if "IMPORT_CLOCK" in os.environ:
    builtins.__import__ = timed
    os.register_at_fork(after_in_child=start_again)
    atexit.register(tell)
