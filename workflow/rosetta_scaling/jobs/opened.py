"""Fail a job that opens a file of the study or of the cache which its rule does not declare.

The tests switch it on by the environment variable WATCH, for whole studies. It is an audit hook of Python, so it sees
every file that Python opens; what libraries in other languages open, store/ reports to it.
"""

import os
import re
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.store.errors import StudyError

WATCH = "ROSETTA_WATCH_OPENED_FILES"
MANIFESTS = ("manifest.json", "summary.json")  # written last: their presence says that a folder is whole
PART = re.compile(rf"^\.(?:old\.)?(.+)\.{re.escape(socket.gethostname())}\.\d+\.part$")  # see store/atomic.py


class DeclaredFiles:
    """The files of a study and of its cache that one job may open.

    A declared folder stands for all files in it, and so does a declared manifest for the folder that it is in, or for
    that of the network which it registers.
    """

    def __init__(self, layout: Layout, declared: Iterable[str]):
        self.roots = [os.path.abspath(folder) for folder in (layout.results, layout.cache)]
        self.allowed = {os.path.abspath(path) for path in declared}
        registered = {os.path.abspath(layout.checkpoint_manifest(model)): model for model in layout.models}
        for path in list(self.allowed):
            if os.path.basename(path) in MANIFESTS:
                self.allowed.add(os.path.dirname(path))
            if path in registered:
                self.allowed.add(os.path.abspath(layout.checkpoint(registered[path])))
        self.allowed |= {os.path.abspath(path) for path in undeclarable(layout)}

    def permits(self, path: str) -> bool:
        """Is it no file of the study, or declared, or on its way to become a file that is declared?"""
        path = os.path.abspath(path)
        if not any(path.startswith(f"{root}{os.sep}") for root in self.roots):
            return True
        path = os.sep.join(PART.sub(r"\1", name) for name in path.split(os.sep))
        return path in self.allowed or any(str(folder) in self.allowed for folder in Path(path).parents)


def undeclarable(layout: Layout) -> list[str]:
    """Files that no rule makes, so none can declare them: what jobs save on the way, what the workflow remembers, and
    what jobs took.
    """
    models = [model for source in ("hub", "package", "local") for model in layout.keys_of(source).values()]
    return [
        f"{layout.results}/work",
        layout.benchmarks,
        f"{layout.cache}/work",
        f"{layout.cache}/judge",
        layout.wheels,
        *map(layout.configuration_memo, models),
        *(f"{layout.checkpoint(model)}/config.json" for model in models),  # by which plans know the size of a network
    ]


def watch_opened_files(rule: str, layout: Layout, declared: Iterable[str]) -> None:
    """From here on, raise a StudyError in this process when another file is opened than the rule may open."""
    files = DeclaredFiles(layout, declared)

    def hook(event: str, arguments: tuple) -> None:
        if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        path = os.fsdecode(arguments[0])
        if not files.permits(path) and not os.path.isdir(path):
            raise StudyError(
                f"rule {rule} opens {path}, which it does not declare; declare it in the inputs of its stage, or do "
                "not open it"
            )

    sys.addaudithook(hook)
