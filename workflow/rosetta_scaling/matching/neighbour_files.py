"""Best partners of a tile as a file."""

from pathlib import Path

import torch

from rosetta_scaling.matching.neighbours import BestPartners, Growth, Neighbours
from rosetta_scaling.matching.tiles import Tile
from rosetta_scaling.store.tensors import read_tensors, write_tensors


def write_neighbours(path: str | Path, tile: Tile, growth: Growth) -> None:
    """Write tensors named UNITS_SIDE_NAME, with NAME a field of Neighbours, and `tile`.

    `rescored` is there only where a neuron was: on a processor none is.
    """
    tensors = {
        f"{units}_{side}_{name}": value
        for units, sides in growth.items()
        for side, best in zip("ab", sides, strict=True)
        for name, value in vars(best).items()
        if name != "rescored" or value.any()
    }
    write_tensors(path, tensors | {"tile": torch.tensor([tile.a0, tile.a1, tile.b0, tile.b1])})


def read_neighbours(path: str | Path) -> tuple[Tile, Growth]:
    """What write_neighbours wrote."""
    values = read_tensors(path)
    tile = Tile(*values.pop("tile").tolist())

    def side_of(units: int, side: str) -> Neighbours:
        r, partner, constant = (values[f"{units}_{side}_{name}"] for name in ("r", "partner", "constant"))
        return Neighbours(r, partner, constant, values.get(f"{units}_{side}_rescored", torch.zeros_like(constant)))

    numbers = sorted({int(name.split("_")[0]) for name in values})
    return tile, Growth((units, BestPartners(side_of(units, "a"), side_of(units, "b"))) for units in numbers)
