"""Studies of networks from the hub."""

from rosetta_scaling.config import parsing as config
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.sizes import Sizes
from rosetta_scaling.stages.networks import check_models


def study(**families) -> Layout:
    """A study of these families, the first of which is the anchor of all."""
    anchor, *others = families
    values = {"study": "s", "families": families, "curves": {f"{anchor}-{name}": [anchor, name] for name in others}}
    layout = Layout(config.parse(values), "corpus")
    check_models(layout)
    return layout


def sizes(**families) -> Sizes:
    return Sizes(study(**families))


def hub(*names: str) -> dict:
    return {"source": "hub", "models": {f"r{i}": name for i, name in enumerate(names)}}
