"""Small tables that stand for the weights of a network, so that two networks can be compared without either in memory.

Weights are read a piece at a time. What is kept of a tensor is its sha256, its norm, and two sketches that survive a
cast to another precision:

sample   Entries at places that depend on the shape only, less the means of their row and column: of two tensors of one
         shape the cosine of the samples estimates that of the whole. Without the means, networks that share nothing but
         embeddings would correlate in their MLP weights, which have directions of the residual stream in common.
strong   The rows of largest norm, at columns that depend on the shape only, standardised by column: they find the
         neurons of a network that has them in another order.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.networks.folders import weight_files
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import reads_network
from rosetta_scaling.store.tensors import open_tensors

PIECE = 2**20  # entries of a tensor in memory at a time
SAMPLE = 8192  # entries in a sample
STRONG, COLUMNS = 64, 128  # rows and columns of the other sketch
FLOATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


@reads_network
def fingerprint(folder: str | Path) -> pd.DataFrame:
    """One row per floating-point tensor in the safetensors files of a folder that transformers loads.

    tensor    name
    role      mlp: a matrix of a numbered block, outside attention; embedding (of tokens, positions, outputs); other
    place     the name from the number of the block on, which does not depend on what the network is wrapped in
    shape     list
    dtype     name
    sha256    of the bytes
    constant  all entries are equal, or sines and cosines of places: no network has learned them
    norm      of all entries
    sample    list of float32
    strong    list of float32, empty unless the role is mlp

    Integers are masks and tables, not weights, and inv_freq is a formula: both are left out. Raises StudyError when a
    file is damaged or no MLP is found.
    """
    files = weight_files(folder)
    table = pd.DataFrame([_row(tensor) for path in files for tensor in _weights(path)])
    if table.empty or "mlp" not in set(table.role):
        raise StudyError(
            f"model folder {folder} holds {len(files)} safetensors files and in them no floating-point weights of an "
            "MLP; expected a transformer, saved by save_pretrained"
        )
    return table


class _Weight:
    """A tensor in a safetensors file as a matrix; a vector is one row. Rows are read, never mapped: maps would count
    as memory of the process.
    """

    def __init__(self, path: Path, name: str, dtype: torch.dtype, shape: list[int], *, origin: int):
        self.path, self.name, self.dtype, self.shape, self.origin = path, name, dtype, shape, origin
        self.columns = math.prod(shape[1:] if len(shape) > 1 else shape)
        self.rows = math.prod(shape) // self.columns

    def read(self, start: int, stop: int) -> torch.Tensor:
        raw = bytearray((stop - start) * self.columns * self.dtype.itemsize)
        with open(self.path, "rb") as file:
            file.seek(self.origin + start * self.columns * self.dtype.itemsize)
            file.readinto(raw)
        return torch.frombuffer(raw, dtype=self.dtype).view(-1, self.columns)

    def pieces(self) -> Iterator[tuple[int, torch.Tensor]]:
        step = max(1, PIECE // self.columns)
        for start in range(0, self.rows, step):
            yield start, self.read(start, min(start + step, self.rows))


def _weights(path: Path) -> Iterator[_Weight]:
    with open_tensors(path):  # refuses a damaged file
        pass
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    for name, about in sorted(header.items()):
        if about.get("dtype") in FLOATS and math.prod(about["shape"]) and not name.endswith("inv_freq"):
            yield _Weight(
                path, name, FLOATS[about["dtype"]], about["shape"], origin=8 + size + about["data_offsets"][0]
            )


def _row(weight: _Weight) -> dict:
    rows, columns = weight.rows, weight.columns
    row_sum, row_square = torch.zeros(2, rows, dtype=torch.float64)
    column_sum, column_square = torch.zeros(2, columns, dtype=torch.float64)
    places = _places(weight.shape, rows * columns, SAMPLE)
    sample, sha256 = torch.empty(len(places), dtype=torch.float64), hashlib.sha256()
    least, most = math.inf, -math.inf
    for start, raw in weight.pieces():
        stop = start + len(raw)
        content: Any = raw.view(torch.uint8).numpy()
        sha256.update(content)
        piece = raw.float()
        low, high = torch.searchsorted(places, torch.tensor([start * columns, stop * columns])).tolist()
        sample[low:high] = piece.flatten()[places[low:high] - start * columns].double()
        least, most = min(least, piece.min().item()), max(most, piece.max().item())
        row_sum[start:stop], row_square[start:stop] = _moments(piece, 1)
        of_columns = _moments(piece, 0)
        column_sum += of_columns[0]
        column_square += of_columns[1]
    role = _role(weight)
    row_mean, column_mean = row_sum / columns, column_sum / rows
    sample -= row_mean[places // columns]
    if rows > 1:
        sample -= column_mean[places % columns] - row_mean.mean()
    deviation = (column_square / rows - column_mean**2).clamp_min(0).sqrt()
    return {
        "tensor": weight.name,
        "role": role,
        "place": re.sub(r"^.*?(?<![^.])(?=\d+\.)", "", weight.name),
        "shape": weight.shape,
        "dtype": str(weight.dtype).removeprefix("torch."),
        "sha256": sha256.hexdigest(),
        "constant": least == most or _is_sinusoidal(weight),
        "norm": row_square.sum().sqrt().item(),
        "sample": sample.float().numpy(),
        "strong": _strong(weight, row_square, column_mean, deviation) if role == "mlp" else np.empty(0, np.float32),
    }


def _moments(piece: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    return piece.sum(dim, dtype=torch.float64), piece.square().sum(dim, dtype=torch.float64)


def _role(weight: _Weight) -> str:
    if len(weight.shape) < 2 or weight.shape[1] == 1:  # filters of single channels: all networks have a few alike
        return "other"
    if re.search(r"(^|\.)\d+\.", weight.name):
        return "other" if "att" in weight.name.lower() else "mlp"
    return "embedding" if re.search("emb|wte|wpe|lm_head", weight.name) else "other"


def _is_sinusoidal(weight: _Weight) -> bool:
    """Whether these are positions by formula, the same in all networks of a width.

    sin^2 + cos^2 is 1, so every place has the same norm, but for that of a class token, which may be zero.
    """
    if "pos" not in weight.name or len(weight.shape) < 2:
        return False
    squares = weight.read(0, weight.rows).float().view(-1, weight.shape[-1]).square().sum(1)
    of_places = squares[squares > 0]
    return torch.allclose(of_places, torch.full_like(of_places, weight.shape[-1] / 2), rtol=1e-2)


def _places(shape: list[int], entries: int, wanted: int) -> torch.Tensor:
    """Sorted places of a sample among so many entries, or all of them; the same with every version of numpy."""
    if entries <= wanted:
        return torch.arange(entries)
    raw = np.random.PCG64(seed_from(shape)).random_raw(wanted)
    return torch.from_numpy(np.unique(raw % entries).astype(np.int64))


def _strong(weight: _Weight, squares: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor) -> np.ndarray:
    """The strongest rows at a fixed set of columns, standardised by column; flat."""
    strongest = squares.argsort(descending=True, stable=True)[:STRONG].tolist()
    columns = _places(weight.shape[1:], weight.columns, COLUMNS)
    rows = torch.cat([weight.read(row, row + 1)[:, columns].double() for row in strongest])
    tiny = torch.finfo(torch.float32).tiny  # of a constant column
    return ((rows - mean[columns]) / deviation[columns].clamp_min(tiny)).float().flatten().numpy()
