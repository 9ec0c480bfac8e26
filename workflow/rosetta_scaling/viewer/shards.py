"""What the page loads when a neuron is opened: a script for it and some others."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rosetta_scaling.schemas.metrics import METRICS
from rosetta_scaling.viewer.scripts import column_arrays, script

SHARD_BYTES = 100_000  # about as many of examples are in one script
LEVEL = ("mean", "variance", "maximum", "fraction_active", "mutual", "matched")  # beside the metrics
TOKENS = 8  # promoted ones, and as many suppressed ones


@dataclass(frozen=True)
class Details:
    """What is shown of single neurons of a network, one after the other."""

    table: pd.DataFrame  # of viewer/neurons.py
    examples: np.ndarray  # (neurons, examples) units
    codes: list[np.ndarray]  # (neurons, examples, units around each): the network, then its best partners elsewhere
    histogram: np.ndarray  # (neurons, BINS)
    tokens: "Tokens"

    @property
    def shard(self) -> int:
        """Neurons in one script."""
        return max(1, SHARD_BYTES // (len(self.codes) * self.codes[0][0].size))


@dataclass(frozen=True)
class Tokens:
    """Tokens that neurons promote and suppress."""

    texts: list[str]  # by code
    code: np.ndarray  # (neurons, 2, TOKENS); -1: none
    cosine: np.ndarray  # the same shape

    @classmethod
    def of(cls, tokens: pd.DataFrame, neurons: int) -> "Tokens":
        """From the table of promoted and suppressed tokens, which is empty where there is no vocabulary."""
        kept = tokens[tokens["rank"] <= TOKENS]
        number, texts = pd.factorize(kept.text.fillna(""), sort=True)
        code, cosine = np.full((neurons, 2, TOKENS), -1, np.int32), np.zeros((neurons, 2, TOKENS), np.float32)
        place = kept.neuron.to_numpy(int), (kept.side == "suppressed").to_numpy(int), kept["rank"].to_numpy(int) - 1
        code[place], cosine[place] = number, kept.cosine
        return cls(list(texts), code, cosine)


def number_columns(table: pd.DataFrame) -> list[str]:
    """The columns that stand in every script, so that a neuron opens without loading whole columns."""
    return [name for name in table if name in (*METRICS, *LEVEL) or ("." in name and not name.startswith("rosetta."))]


def shard_scripts(key: str, details: Details) -> Iterator[tuple[str, str]]:
    """Key and text of every script: KEY/0, KEY/1, ..."""
    names = number_columns(details.table)
    for part, start in enumerate(range(0, len(details.table), details.shard)):
        rows = slice(start, start + details.shard)
        numbers = [column_arrays(details.table[name].iloc[rows])[1]["values"] for name in names]
        arrays = {
            "numbers": np.stack([column.astype(np.float32) for column in numbers]),  # (columns, neurons)
            "examples": details.examples[rows].astype(np.int32),
            "tokens": details.tokens.code[rows].astype(np.int32),
            "cosines": np.rint(127 * details.tokens.cosine[rows]).astype(np.int8),
            "histogram": compressed(details.histogram[rows]),
        }
        arrays |= {f"codes{network}": codes[rows] for network, codes in enumerate(details.codes)}
        yield f"{key}/{part}", script(f"{key}/{part}", {}, arrays)


def compressed(counts: np.ndarray) -> np.ndarray:
    """Counts as 16 times the logarithm to base 2 of one more, which says them to 2%."""
    return np.rint(16 * np.log2(counts + 1)).astype(np.uint8)
