"""The lowest and the newest versions of the dependencies that can be installed together, for every Python.

    python envs/resolve.py           ask the package index and print a table; nothing is installed
    python envs/resolve.py --test    install them for every Python that is here, and run the quick tests of some rooms

It fails when no versions fit, when another package rules out a lower bound of pyproject.toml, or when a test fails.
The environment variables of uv apply: UV_FIND_LINKS, UV_TORCH_BACKEND=cpu.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pandas as pd
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PYTHONS, RESOLUTIONS = ("3.11", "3.12", "3.13"), ("lowest-direct", "highest")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = {canonicalize_name(one.name): one for one in map(Requirement, PROJECT["dependencies"])}
TOOLS = [one for one in PROJECT["optional-dependencies"]["dev"] if one.startswith(("pytest", "hypothesis"))]
ROOMS = [f"tests/{room}" for room in ("config", "numerics", "power_laws", "store", "units")]
UV = (sys.executable, "-m", "uv", "--quiet")


def resolve(python: str, resolution: str) -> dict[str, Version]:
    """Versions of the direct dependencies; those that would have to be compiled do not count."""
    wheels = [f"--only-binary={name}" for name in DIRECT]
    asked = ["pip", "compile", "pyproject.toml", f"--python-version={python}", f"--resolution={resolution}"]
    told = subprocess.check_output([*UV, *asked, "--no-header", "--no-annotate", *wheels], text=True, cwd=ROOT)
    pairs = (line.partition(" ")[0].split("==") for line in told.splitlines() if "==" in line)
    return {name: Version(version) for name, version in pairs if name in DIRECT}


def test(python: str, resolution: str) -> None:
    """Run the tests of ROOMS in a new environment, if this Python is here."""
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run([*UV, "venv", "--no-python-downloads", f"--python={python}", folder], check=False).returncode:
            print(f"Python {python} is not here; what was resolved for it is not tested")
            return
        wanted = ["--requirements=pyproject.toml", f"--resolution={resolution}", *TOOLS]
        subprocess.run([*UV, "pip", "install", f"--python={folder}/bin/python", *wanted], check=True, cwd=ROOT)
        quick = [f"{folder}/bin/python", "-m", "pytest", "-m", "not slow and not study", *ROOMS]
        print(f"Python {python}, {resolution}:", flush=True)
        subprocess.run(quick, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT / "workflow")})


if __name__ == "__main__":
    table = pd.DataFrame({(one, python): resolve(python, one) for one in RESOLUTIONS for python in PYTHONS})
    bounds = {name: next(s for s in one.specifier if s.operator in (">=", "==")) for name, one in DIRECT.items()}
    table.insert(0, ("bound", ""), pd.Series({name: str(bound) for name, bound in bounds.items()}))
    print(table.to_string())
    lowest = table["lowest-direct"].min(axis=1)
    if wrong := [
        f"{name}{bound} ({lowest[name]})" for name, bound in bounds.items() if lowest[name] != Version(bound.version)
    ]:
        sys.exit(f"lower bounds that no installation reaches, with the version to write there: {', '.join(wrong)}")
    for python in PYTHONS if sys.argv[1:] == ["--test"] else ():
        for resolution in RESOLUTIONS:
            test(python, resolution)
