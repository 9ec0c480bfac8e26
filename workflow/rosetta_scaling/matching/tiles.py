"""How the matching of models is cut into pieces that fit a memory and a disk budget, and what it will cost.

Plain arithmetic on sizes: nothing is loaded here, so the workflow can ask before anything runs.
"""

import copy
import functools
import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.study import Activations, Family, Matching, Size, Units
from rosetta_scaling.store.tables import StudyError

CHUNK_UNITS = 2048  # fixed, so that sums come out the same whatever the memory; large enough for an efficient product
RANKED_ROWS = 256  # rows of a tile whose sort keys are in memory at a time
WINDOW_BATCHES = 4  # passages of so many batches are sorted by length, so that little is padded
RESCORING_BYTES = 8  # of an activation that is re-scored: as stored and as float32, with room for candidates
LEAST_CHUNK = 128
SKETCH_PAYS = 2  # a sketch is worth its passes when it is so many times shorter than the units ...
SKETCH_NEURONS = 4096  # ... and the product of so many neurons outweighs them


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


@dataclass(frozen=True)
class ModelSize:
    """What a plan needs to know of a network."""

    layers: int
    width: int  # neurons per layer
    hidden: int
    vocabulary: int
    gated: bool = False

    @property
    def neurons(self) -> int:
        return self.layers * self.width

    @property
    def parameters(self) -> int:
        """Weights of all matrices."""
        maps = (3 if self.gated else 2) * self.hidden * self.width + 4 * self.hidden**2
        return self.layers * maps + 2 * self.vocabulary * self.hidden

    def forward_bytes(self, batch_tokens: int, weight_bytes: int = 4) -> int:
        """Memory of a network that is being read: weights, a batch inside a block, a window of all neurons."""
        inside_a_block = 4 * batch_tokens * (6 * self.width + 16 * self.hidden)
        return weight_bytes * self.parameters + inside_a_block + 2 * WINDOW_BATCHES * batch_tokens * self.neurons


def trained_size(family: Family, size: Size) -> ModelSize:
    """The network that ladder.make_config makes."""
    gated = family.architecture == "llama"
    width = 8 * round(size.hidden_size / 3) if gated else 4 * size.hidden_size
    return ModelSize(size.layers, width, size.hidden_size, family.vocabulary, gated)


def folder_size(folder: str | Path) -> ModelSize:
    """The network of a `save_pretrained` folder, by its config.json."""
    path = Path(folder) / "config.json"
    return config_size(json.loads(path.read_text()), str(path))


def published(source: str, name: str) -> dict | None:
    """What workflow/models/ knows of a network, if it does: no network is asked.

    `source` is "hub" or "package", `name` owner/name@revision or the name of a package's model.
    """
    known = _models_file("public.yaml" if source == "hub" else "packages.yaml")
    models = known
    if source == "hub":
        models = {
            name: entry for entry in known.values() for name in (entry["repository"], *entry.get("same_shape", ()))
        }
    return copy.deepcopy(models.get(name.split("@")[0]))


@functools.cache
def _models_file(name: str) -> dict:
    """Read once: a plan asks for the size of every network many times."""
    return yaml.safe_load((WORKFLOW / "models" / name).read_text())


def config_size(values: dict, where: str) -> ModelSize:
    """The network that a configuration makes; `where` it stands is told when it is not that of a transformer."""
    values = values.get("text_config") or values  # of a network that also sees, the part that reads

    def first(*names: str):
        return next((values[name] for name in names if values.get(name)), None)

    hidden = first("hidden_size", "n_embd", "d_model")
    layers = first("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    if not hidden or not layers:
        raise StudyError(f"{where} names no hidden size and number of layers; expected those of a transformer")
    width = first("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "d_ff") or 4 * hidden
    gated = first("hidden_act", "activation_function") in ("silu", "gelu_pytorch_tanh")
    return ModelSize(layers, width, hidden, first("vocab_size") or 0, gated)


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


def exact_flops(neurons_a: int, neurons_b: int, units: int) -> float:
    """Floating-point operations of the cross products."""
    return 2.0 * neurons_a * neurons_b * units
