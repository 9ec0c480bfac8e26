"""Best partners of a tile as a file."""

from pathlib import Path

import torch

from rosetta_scaling.matching.neighbours import Neighbours
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.store.tensors import read_tensors, write_tensors

Found = dict[int, tuple[Neighbours, Neighbours]]  # the best partners both ways, by the number of units


def write_neighbours(path: str | Path, tile: Tile, found: Found) -> None:
    tensors = {
        f"{units}_{side}_{name}": value
        for units, sides in found.items()
        for side, best in zip("ab", sides, strict=True)
        for name, value in vars(best).items()
    }
    write_tensors(path, tensors | {"tile": torch.tensor([tile.a0, tile.a1, tile.b0, tile.b1])})


def read_neighbours(path: str | Path) -> tuple[Tile, Found]:
    values = read_tensors(path)
    tile, names = Tile(*values.pop("tile").tolist()), ("r", "partner", "constant")
    return tile, {
        units: tuple(Neighbours(*(values[f"{units}_{side}_{name}"] for name in names)) for side in "ab")
        for units in sorted({int(name.split("_")[0]) for name in values})
    }
