"""What the page knows before it loads anything: the study, its networks, and the columns of their tables."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from rosetta_scaling.schemas.metrics import METRICS
from rosetta_scaling.schemas.nulls import CENTRAL, NULLS
from rosetta_scaling.schemas.tables.viewer import meaning_of
from rosetta_scaling.viewer import examples, images, shards
from rosetta_scaling.viewer.neurons import LEVEL
from rosetta_scaling.viewer.scripts import column_arrays, quantiles, script
from rosetta_scaling.viewer.words import Index, word_scripts

LOOKS = (  # of the sets of examples, in their order
    {"words": "Strongest in one half of the documents", "colour": "#de8f05"},
    {"words": "Strongest in the other half", "colour": "#d55e00"},
    {"words": "Random units", "colour": "#949494"},
    {"words": f"Units near z = {examples.THRESHOLD:g}, where a strong response begins", "colour": "#0173b2"},
)


@dataclass(frozen=True)
class Network:
    """All that is shown of a network."""

    key: str  # SCOPE/MODEL
    model: str
    others: Mapping[str, str | None]  # networks that it was matched with -> their keys; None: the page has them not
    details: shards.Details
    fires: Index  # words
    promotes: Index

    @property
    def table(self) -> pd.DataFrame:
        return self.details.table


def network_scripts(network: Network) -> Iterator[tuple[str, str]]:
    """Key and text of every script of a network; the page looks for KEY in data/KEY.js."""
    key = network.key
    yield from column_scripts(f"{key}/columns", network.table)
    yield from shards.shard_scripts(f"{key}/neurons", network.details)
    yield f"{key}/tokens", script(f"{key}/tokens", {"texts": network.details.tokens.texts}, {})
    yield from word_scripts(f"{key}/words/fires", network.fires)
    yield from word_scripts(f"{key}/words/promotes", network.promotes)


def column_scripts(key: str, table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Key and text of the script of every column; they are numbered in the order of the table."""
    for number, name in enumerate(table):
        yield f"{key}/{number}", script(f"{key}/{number}", *column_arrays(table[name]))


def about_network(network: Network) -> dict:
    """What the page knows of a network from the beginning: its columns with their meanings, among others."""
    table = network.table
    numbers = [name for name in table if pd.api.types.is_numeric_dtype(table[name])]
    return {
        "key": network.key,
        "scope": network.key.rpartition("/")[0],
        "model": network.model,
        "neurons": len(table),
        "widths": table.groupby("layer").size().tolist(),
        "others": [{"model": other, "key": key} for other, key in network.others.items()],
        "columns": [
            {"name": name, "meaning": meaning_of(name), "kind": "number" if name in numbers else "text"}
            for name in table
        ],
        "shard": network.details.shard,
        "numbers": shards.number_columns(table),  # in the scripts of single neurons
        "quantiles": quantiles(table, [name for name in METRICS if name in table]),
    }


def in_words(units: pd.DataFrame) -> pd.DataFrame:
    """A unit table with a column `text`: of a patch of an image, the words of what was drawn in it."""
    return units if "text" in units else units.assign(text=units.content + " ")


def about_study(study: str, networks: list[dict]) -> dict:
    """All that the page knows from the beginning."""
    return {
        "study": study,
        "networks": networks,
        "metrics": list(METRICS),
        "nulls": [{"name": null.name, "label": null.label, "meaning": null.meaning} for null in NULLS.values()],
        "central": CENTRAL,
        "level": LEVEL,
        "sets": [
            {"name": name, "size": size} | looks
            for (name, size), looks in zip(examples.SETS.items(), LOOKS, strict=True)
        ],
        "before": examples.BEFORE,
        "scale": {"strongest": examples.STRONGEST, "steps": examples.STEPS, "none": examples.NONE},
        "bins": examples.BINS,
        "images": images.PART,
        "tokens": shards.TOKENS,
    }


def study_script(about: Mapping) -> str:
    return f"const STUDY = {json.dumps(about, ensure_ascii=True, allow_nan=False)}\n"
