"""How the matching of models is cut into pieces that fit a memory and a disk budget, and what it will cost.

Plain arithmetic on sizes: nothing is loaded here, so the workflow can ask before anything runs.
"""

import itertools
import math
from dataclasses import dataclass

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.store.errors import StudyError

RANKED_ROWS = 256  # rows of a tile whose sort keys are in memory at a time


@dataclass(frozen=True)
class Tile:
    """Neurons a0..a1 of one model against b0..b1 of the other, counted over all layers."""

    a0: int
    a1: int
    b0: int
    b1: int

    @property
    def bytes(self) -> int:
        """Memory of a tile at work: sums, chunks of both models as stored and as multiplied, and sort keys."""
        a, b = self.a1 - self.a0, self.b1 - self.b0
        return 4 * a * b + 16 * CHUNK_UNITS * (a + b) + 40 * RANKED_ROWS * max(a, b)

    def quarters(self) -> list["Tile"]:
        """The same pairs of neurons as (up to) four tiles of half the size."""
        return [Tile(*a, *b) for a in _pieces(self.a0, self.a1, 2) for b in _pieces(self.b0, self.b1, 2)]


def _pieces(start: int, stop: int, count: int) -> list[tuple[int, int]]:
    edges = [start + (stop - start) * i // count for i in range(count + 1)]
    return [(low, high) for low, high in itertools.pairwise(edges) if low < high]


def tiles(neurons_a: int, neurons_b: int, memory_bytes: int) -> list[Tile]:
    """The fewest tiles of nearly equal size that cover all pairs of neurons and each fit the memory.

    Fewest, because every tile reads its neurons again.
    """
    linear = 32 * CHUNK_UNITS + 40 * RANKED_ROWS  # bytes of a square tile are 4 * side^2 + linear * side
    side = int((math.sqrt(linear**2 + 16 * memory_bytes) - linear) / 8)
    if side < 1:
        raise StudyError(
            f"matching.memory_mb leaves {memory_bytes / 1e6:.1f} MB for a tile, but one neuron of each model takes "
            f"{Tile(0, 1, 0, 1).bytes / 1e6:.1f} MB; raise it"
        )
    rows = _pieces(0, neurons_a, math.ceil(neurons_a / side))
    columns = _pieces(0, neurons_b, math.ceil(neurons_b / side))
    return [Tile(*row, *column) for row in rows for column in columns]


def exact_flops(neurons_a: int, neurons_b: int, units: int) -> float:
    """Floating-point operations of the cross products."""
    return 2.0 * neurons_a * neurons_b * units
