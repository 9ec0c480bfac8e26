"""Tables as formatted cells for the templates, and the words that several of them use."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pandas as pd

from rosetta_scaling.formatting import fixed, number
from rosetta_scaling.schemas.nulls import null_labels

QUANTITIES = {
    "count": "Rosetta neurons",
    "excess": "excess over the largest null",
    "calibrated_05": "calibrated, FDR 5%",
    "calibrated_01": "calibrated, FDR 1%",
    "beyond_decoys": "wins beyond decoys",
    "equal_n_count": "at equal n",
    "equal_n_null": "at equal n, rotated neurons",
    "effect": "effect as measured",
    "adjusted": "effect, adjusted",
    "difference": "difference of the medians",
    "mean": "Rosetta neurons",
    "mean_others": "other neurons",
    "median_rosetta": "median, Rosetta neurons",
    "median_others": "median, other neurons",
}
SIZES = {
    "neurons": "against neurons",
    "parameters": "against parameters",
    "non_embedding_parameters": "against parameters without embeddings",
    "hidden_size": "against width",
    "training_flops": "against training compute",
}


class ToNeurons(NamedTuple):
    """Words of a cell that lead to the neurons behind them: `address` is what follows the # of the viewer's page."""

    words: str
    address: str


def rosetta_address(anchor: str, curve: str, criterion: str) -> str:
    """The Rosetta neurons of an anchor, by curve and criterion."""
    return urlencode({"n": anchor, "r": f"{curve}.{criterion}"})


def to_rosetta(words: Callable[[Mapping], str]) -> Callable[[Mapping], ToNeurons]:
    """A column of a table of counts that leads to the neurons that are counted."""
    return lambda row: ToNeurons(words(row), rosetta_address(row["anchor"], row["curve"], row["criterion"]))


def cells(frame: pd.DataFrame, columns: Mapping[str, Any]) -> dict:
    """A table for the template. A column that is given by its name is text; a function of the row makes a number."""
    rows = frame.to_dict("records")
    return {
        "columns": [(header, callable(source)) for header, source in columns.items()],
        "rows": [[c(row) if callable(c) else f"{row[c]}" for c in columns.values()] for row in rows],
    }


def pairs(values: Mapping) -> dict:
    """A two-column table of a dictionary."""
    shown = {k: number(v) if isinstance(v, int | float) and not isinstance(v, bool) else v for k, v in values.items()}
    return {"columns": [("what", False), ("value", False)], "rows": list(shown.items())}


def label_of(quantity: str) -> str:
    """What a quantity of a table is called on a page; one without a label keeps its name."""
    return (QUANTITIES | null_labels()).get(quantity, quantity)


def with_labels(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its quantities in words, and without missing notes."""
    table = table.assign(quantity=table["quantity"].map(label_of))
    return table.assign(note=table["note"].astype(object).fillna("")) if "note" in table else table


def fixed_of(name: str) -> Callable[[Mapping], str]:
    """A column with two decimals."""
    return lambda row: fixed(row[name])
