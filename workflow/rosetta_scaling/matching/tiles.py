"""How the matching of models is cut into pieces that fit a memory and a disk budget, and what it will cost.

Plain arithmetic on sizes: nothing is loaded here, so the workflow can ask before anything runs.
"""

import itertools
import math
from dataclasses import dataclass

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.store.errors import StudyError

RANKED_ROWS = 256  # rows of a tile whose sort keys are in memory at a time
# On a GPU (see rounded.py): bytes of a neuron's shortlists and of its pairs that are re-scored; bytes of what is ranked
# at a time; bytes of a neuron with its chunk in two terms of float16, and three chunks as stored.
SHORTLIST_BYTES = 4096
RANKED_BYTES = 2**30
CARD_NEURON_BYTES = (2 * 2 + 3 * 4) * CHUNK_UNITS + SHORTLIST_BYTES
MOST_TILES = 100_000  # of a pair: five digits number them


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

    @property
    def card_bytes(self) -> int:
        """Memory of a tile on a GPU: sums and their largest, a rounded chunk, three read ahead, what is ranked."""
        a, b = self.a1 - self.a0, self.b1 - self.b0
        return (4 * a * b * 65) // 64 + CARD_NEURON_BYTES * (a + b) + RANKED_BYTES

    def cut_for_card(self, memory_bytes: int) -> list["Tile"]:
        """The same pairs of neurons as the fewest tiles that each fit this memory of a GPU."""
        parts = tiles(self.a1 - self.a0, self.b1 - self.b0, memory_bytes, on_card=True)
        return [Tile(self.a0 + t.a0, self.a0 + t.a1, self.b0 + t.b0, self.b0 + t.b1) for t in parts]

    def quarters(self) -> list["Tile"]:
        """The same pairs of neurons as (up to) four tiles of half the size."""
        return [Tile(*a, *b) for a in _pieces(self.a0, self.a1, 2) for b in _pieces(self.b0, self.b1, 2)]


def _pieces(start: int, stop: int, count: int) -> list[tuple[int, int]]:
    edges = [start + (stop - start) * i // count for i in range(count + 1)]
    return [(low, high) for low, high in itertools.pairwise(edges) if low < high]


def tiles(neurons_a: int, neurons_b: int, memory_bytes: int, *, on_card: bool = False) -> list[Tile]:
    """The fewest tiles of nearly equal size that cover all pairs of neurons and each fit the memory.

    Fewest, because every tile reads its neurons again. `on_card`: the memory is that of a GPU.
    """
    # Bytes of a square tile are square * side^2 + linear * side + fixed.
    square, linear, fixed = 4.0, 32 * CHUNK_UNITS + 40 * RANKED_ROWS, 0
    setting, least = "matching.memory_mb", Tile(0, 1, 0, 1).bytes
    if on_card:
        square, linear, fixed = 4 * 65 / 64, 2 * CARD_NEURON_BYTES, RANKED_BYTES
        setting, least = "the memory of the GPU (matching.gpu_memory_gb)", Tile(0, 1, 0, 1).card_bytes
    side = int((math.sqrt(max(0.0, linear**2 + 4 * square * (memory_bytes - fixed))) - linear) / (2 * square))
    if side < 1:
        raise StudyError(
            f"{setting} leaves {memory_bytes / 1e6:.1f} MB for a tile, but one neuron of each model takes "
            f"{least / 1e6:.1f} MB; raise it"
        )
    across, down = math.ceil(neurons_a / side), math.ceil(neurons_b / side)
    if across * down > MOST_TILES:
        raise StudyError(
            f"{setting} leaves {memory_bytes / 1e6:,.1f} MB for a tile, which cuts {neurons_a:,} by "
            f"{neurons_b:,} neurons into {across * down:,} tiles, more than {MOST_TILES:,} jobs; raise it"
        )
    rows = _pieces(0, neurons_a, across)
    columns = _pieces(0, neurons_b, down)
    return [Tile(*row, *column) for row in rows for column in columns]


def exact_flops(neurons_a: int, neurons_b: int, units: int) -> float:
    """Floating-point operations of the cross products."""
    return 2.0 * neurons_a * neurons_b * units
