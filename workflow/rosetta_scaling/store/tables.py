"""Artifacts: written whole or not at all, named by content, refused when truncated.

Tensors are safetensors, tables are parquet (csv where a person reads them), nothing is ever pickled.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.errors import DamagedFile, StudyError


def write_json(path: str | Path, value: object) -> None:
    with atomic(path) as part:
        part.write_text(json.dumps(value, indent=1, default=str, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict:
    with _readable(path):
        return json.loads(Path(path).read_text())


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write parquet or csv, by the suffix of `path`. Floats in csv keep full precision."""
    with atomic(path) as part:
        if Path(path).suffix == ".csv":
            table.to_csv(part, index=False)
        else:
            table.to_parquet(part, index=False, write_page_checksum=True)


# Columns of names that users choose, and of truths. In a csv file a curve called 007, nan or true would be read as
# something else, and so would the truth called null.
NAMES = ("curve", "point", "rung", "model", "models", "family", "anchor", "domain", "name", "of", "truth")


def read_table(path: str | Path) -> pd.DataFrame:
    with _readable(path):
        if Path(path).suffix == ".csv":
            names = pd.read_csv(path, usecols=lambda column: column in NAMES, dtype=str, keep_default_na=False)
            return pd.read_csv(path).assign(**names)
        return pd.read_parquet(path, page_checksum_verification=True)


@contextlib.contextmanager
def _readable(path: str | Path) -> Iterator[None]:
    """Turn the many exceptions of damaged files into one sentence that says what to do."""
    from safetensors import SafetensorError

    sys.audit("open", str(path), "r", 0)  # libraries in other languages open it unseen
    if not Path(path).is_file():
        raise StudyError(f"{path}: no such file; run the study again and the step that writes it will.")
    try:
        yield
    except PermissionError:
        raise
    except (OSError, ValueError, SafetensorError) as error:  # pyarrow and json errors are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedFile(path, reason) from error
