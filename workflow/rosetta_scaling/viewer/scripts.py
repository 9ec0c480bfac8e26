"""Arrays as scripts: the only data that a page opened by double click may load.

A script calls `rosetta(key, about, data)`. `about` is plain JSON; its `arrays` lists name, type and length of every
array. `data` holds the arrays one after the other, little-endian, each filled up to a multiple of four bytes, as gzip
in base64. viewer.js reads them back without copying.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rosetta_scaling.numerics.runs import begins_run

TYPES = {"int8": "i1", "uint8": "u1", "uint16": "u2", "int32": "i4", "float32": "f4"}
DROPPED_BITS = 11  # of the 23 after the point: relative errors stay below 2^-13, and gzip saves a third


def script(key: str, about: Mapping, arrays: Mapping[str, np.ndarray]) -> str:
    """The text of a script that hands over arrays (any shape, rows first) of one of TYPES."""
    data, listed = bytearray(), []
    for name, array in arrays.items():
        listed.append([name, TYPES[array.dtype.name], array.size])
        data += np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        data += bytes(-len(data) % 4)
    packed = base64.b64encode(gzip.compress(bytes(data), compresslevel=6, mtime=0)).decode()
    words = [json.dumps(part, ensure_ascii=True, allow_nan=False) for part in (key, {**about, "arrays": listed})]
    return f'rosetta({words[0]},{words[1]},"{packed}")\n'


def rounded(values: np.ndarray) -> np.ndarray:
    """Float32 values with 12 significant bits."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    up = ((bits + np.uint32(1 << (DROPPED_BITS - 1))) >> np.uint32(DROPPED_BITS)) << np.uint32(DROPPED_BITS)
    return np.where(np.isfinite(values), up, bits).astype(np.uint32).view(np.float32)


def column_arrays(column: pd.Series) -> tuple[dict, dict[str, np.ndarray]]:
    """What a script says of a column of a table, and its array `values`.

    Whole numbers and truths are exact, other numbers rounded. Texts become codes of the texts in `texts`, the last code
    standing for none.
    """
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        codes, texts = pd.factorize(column, sort=True)
        codes = np.where(codes < 0, len(texts), codes)
        return {"texts": list(texts)}, {"values": codes.astype(np.uint16 if len(texts) < 2**16 else np.int32)}
    if column.dtype == bool:
        return {}, {"values": column.to_numpy(np.uint8)}
    if pd.api.types.is_integer_dtype(column):
        return {}, {"values": column.to_numpy(np.int32)}
    return {}, {"values": rounded(column.to_numpy(np.float32))}


def text_script(key: str, units: pd.DataFrame) -> str:
    """The text of all units once, with the length of each (in UTF-16 code units, as browsers count) and the first unit
    of every passage, its domain and its document. Of images it says how many patches stand along a side.
    """
    lengths = np.array([len(text.encode("utf-16-le")) // 2 for text in units.text], np.uint16)
    opens = np.flatnonzero(begins_run(units.passage.to_numpy()))
    first = units.iloc[opens]
    domain, domains = pd.factorize(first.domain, sort=True)
    encoded = np.frombuffer("".join(units.text).encode(), np.uint8)
    arrays = {
        "text": encoded,
        "lengths": lengths,
        "opens": opens.astype(np.int32),
        "domain": domain.astype(np.uint8),
        "document": first.doc.to_numpy(np.int32),
    }
    side = int(units.row.max()) + 1 if "row" in units else 0
    return script(key, {"domains": list(domains), "side": side}, arrays)


def quantiles(table: pd.DataFrame, names: Sequence[str]) -> dict[str, list[float]]:
    """101 quantiles of every column, by which the page places one neuron among all; empty where nothing is known."""
    found = {}
    for name in names:
        known = table[name].to_numpy(float)
        known = known[np.isfinite(known)]
        found[name] = (
            [float(f"{value:.5g}") for value in np.quantile(known, np.linspace(0, 1, 101))] if len(known) else []
        )
    return found
