"""Studies of networks from the hub."""

from rosetta_scaling.config import study as config
from rosetta_scaling.layout.layout import Layout


def study(**families) -> Layout:
    """A study of these families, the first of which is the anchor of all."""
    anchor, *others = families
    values = {"study": "s", "families": families, "curves": {f"{anchor}-{name}": [anchor, name] for name in others}}
    return Layout(config.parse(values), "corpus")


def hub(*names: str) -> dict:
    return {"source": "hub", "models": {f"r{i}": name for i, name in enumerate(names)}}
