"""The versions in envs/constraints.txt are those of a whole environment, and pyproject.toml allows them."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "envs/constraints.txt").read_text(), re.M)
}
WANTED = [
    Requirement(one)
    for group in (PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in ("dev", "slurm")))
    for one in group
]


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_the_tested_version_is_within_the_bounds(wanted):
    assert wanted.specifier.contains(LOCKED[canonicalize_name(wanted.name)], prereleases=True)


def test_everything_that_is_installed_with_them_is_locked_too():
    """Except what a package itself asks for in an exact version, as torch does for the libraries of CUDA."""
    seen, found = set(), list(WANTED)
    while found:
        one = found.pop()
        key = canonicalize_name(one.name), frozenset(one.extras)
        try:
            below = metadata.requires(one.name) or []
        except metadata.PackageNotFoundError:  # an environment made before the package was added
            continue
        if key in seen:
            continue
        seen.add(key)
        for needed in map(Requirement, below):
            here = needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in (one.extras or {""})
            )
            if here and not any(bound.operator == "==" for bound in needed.specifier):
                found.append(needed)
    assert len(seen) > 100
    assert {name for name, _ in seen} <= LOCKED.keys()
