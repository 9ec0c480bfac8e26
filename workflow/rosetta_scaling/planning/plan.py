"""Which engine matches the pairs of a study, in which tiles, from where."""

from collections.abc import Iterable
from dataclasses import dataclass

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.config.activations import Activations
from rosetta_scaling.config.matching import Matching
from rosetta_scaling.config.units import Units
from rosetta_scaling.matching.tiles import Tile, tiles
from rosetta_scaling.networks.model_sizes import ModelSize
from rosetta_scaling.store.errors import StudyError

RESCORING_BYTES = 8  # of an activation that is re-scored: as stored and as float32, with room for candidates
LEAST_CHUNK = 128
SKETCH_PAYS = 2  # a sketch is worth its passes when it is so many times shorter than the units ...
SKETCH_NEURONS = 4096  # ... and the product of so many neurons outweighs them


@dataclass(frozen=True)
class Plan:
    """How all pairs of a study are matched."""

    engine: str
    placement: str
    units: int  # at most; the text decides
    tiles: dict[str, list[Tile]]  # of every pair
    stored_bytes: int  # activations on disk, at most
    sketch_bytes: int
    memory_bytes: int
    reading_bytes: dict[str, int]  # memory that a model takes while it is read: none when its activations are stored

    def free_bytes(self, models: Iterable[str]) -> int:
        """Memory that is left for the matching itself, in a job that reads these models."""
        return self.memory_bytes - sum(self.reading_bytes[model] for model in models)

    def rescoring_chunk(self, neurons: dict[str, int]) -> int:
        """Units per chunk when several models are re-scored together, as many as fit up to CHUNK_UNITS."""
        free, chunk = self.free_bytes(neurons), CHUNK_UNITS
        need = RESCORING_BYTES * sum(neurons.values())
        while chunk * need > free and self.placement != "stored" and chunk > LEAST_CHUNK:
            chunk //= 2
        if chunk * need > free:
            raise StudyError(
                f"re-scoring {', '.join(neurons)} together needs {chunk * need / 1e6:,.0f} MB beside the networks, but "
                f"matching.memory_mb leaves {free / 1e6:,.0f}; raise it, or set matching.engine to exact"
            )
        return chunk


def make_plan(
    matching: Matching,
    activations: Activations,
    units: Units,
    sizes: dict[str, ModelSize],
    pairs: dict[str, tuple[str, str]],
    most_units: int,
    draws: int,
    weight_bytes: int = 4,
) -> Plan:
    """Choose what is not forced: the engine from the sizes, the placement from the budgets.

    `most_units` is an upper bound; `draws` fresh initialisations of every network are stored beside it; networks are
    loaded with `weight_bytes` for each weight.
    """
    memory, scratch = matching.memory_mb * 10**6, matching.scratch_gb * 1e9
    item = 4 if activations.dtype == "float32" else 2
    stored = sum(size.neurons for size in sizes.values()) * most_units * item * (1 + draws)
    engine = matching.engine
    if engine == "auto":
        least = min(size.neurons for size in sizes.values())
        pays = most_units >= SKETCH_PAYS * matching.sketch_slots and least >= SKETCH_NEURONS
        fits = 3 * max(size.neurons for size in sizes.values()) * CHUNK_UNITS * RESCORING_BYTES <= memory
        engine = "sketch" if pays and fits else "exact"
    sketched = sum(s.neurons for s in sizes.values()) * (matching.sketch_slots + CHUNK_UNITS) * 2
    sketched = sketched if engine == "sketch" else 0
    placement = matching.placement
    if placement == "auto":
        placement = "stored" if stored + sketched <= scratch else "recomputed"
    reading = {
        model: 0
        if placement == "stored"
        else size.forward_bytes(activations.batch_passages * units.max_tokens, weight_bytes)
        for model, size in sizes.items()
    }
    for a, b in pairs.values():
        if (need := reading[a] + reading[b]) >= memory:
            raise StudyError(
                f"reading {a} and {b} takes {need / 1e6:,.0f} MB, but matching.memory_mb is {matching.memory_mb}; "
                "raise it, or lower activations.batch_passages"
            )
    cut = {
        name: tiles(sizes[a].neurons, sizes[b].neurons, memory - reading[a] - reading[b])
        for name, (a, b) in pairs.items()
    }
    most = max(cut, key=lambda name: len(cut[name]))
    if placement == "recomputed" and matching.placement == "auto" and engine == "exact" and len(cut[most]) == 1:
        placement = "one_pass"
    if placement == "one_pass" and len(cut[most]) > 1:
        raise StudyError(
            f"matching.placement is one_pass, but matching.memory_mb = {matching.memory_mb} makes {len(cut[most])} "
            f"tiles of {most}; raise it, or take recomputed"
        )
    stored = stored if placement == "stored" else 0
    return Plan(engine, placement, most_units, cut, stored, sketched, memory, reading)
