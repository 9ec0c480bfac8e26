"""The SLURM profile with the values of a site."""

import re

from rosetta_scaling import WORKFLOW

PROFILE = (WORKFLOW / "profiles/slurm/config.yaml").read_text()


def edited(**site: str | int) -> str:
    """The profile with other values in the lines that a site edits."""
    text = PROFILE
    for key, value in site.items():
        text, found = re.subn(rf"(?m)^  {key}: (\S+)", f"  {key}: {value}", text)
        assert found == 1, key
    return text
