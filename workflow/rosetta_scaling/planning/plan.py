"""Which engine matches the pairs of a study, in which tiles, from where."""

from collections.abc import Iterable
from dataclasses import dataclass

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.config.study import Study
from rosetta_scaling.matching.tiles import Tile, tiles
from rosetta_scaling.networks.model_sizes import ModelSize
from rosetta_scaling.planning.sizes import activation_bytes, reading_bytes
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.store.errors import StudyError

RESCORING_BYTES = 8  # of an activation that is re-scored: as stored and as float32, with room for candidates
LEAST_CHUNK = 128
SKETCH_PAYS = 2  # a sketch is worth its passes when it is so many times shorter than the units ...
SKETCH_NEURONS = 4096  # ... and the product of so many neurons outweighs them
MOST_JOBS = 100_000  # of tiles in a study: Snakemake holds a job in about 10 kB


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

    def check_scratch(self, units: int, scratch_gb: float) -> None:
        """Refuse to fill the disk beyond its budget, now that the number of units is known."""
        need = self.stored_bytes * units / self.units + self.sketch_bytes
        if need > scratch_gb * 1e9:
            raise StudyError(
                f"activations and sketches of this study take {need / 1e9:.1f} GB on {units:,} units, but "
                f"matching.scratch_gb is {scratch_gb:g}; raise it, or set matching.placement to recomputed"
            )

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
    study: Study, sizes: dict[str, ModelSize], pairs: dict[str, tuple[str, str]], most_units: int | None = None
) -> Plan:
    """Choose what the study leaves open: the engine from the sizes, the placement from the budgets.

    `most_units` is an upper bound on the number of units; by default it follows from the size of the probe.
    """
    if most_units is None:
        # With the smallest useful vocabulary a unit has about two bytes.
        most_units = study.corpus.probe_bytes_per_domain * study.corpus.most_domains * 2 // 3
        most_units = study.most_patches if study.modality == "image" else most_units
    matching, memory = study.matching, study.matching.memory_mb * 10**6
    neurons = [size.neurons for size in sizes.values()]
    stored = sum(neurons) * most_units * activation_bytes(study) * (1 + study.nulls.untrained_draws)
    engine = choose_engine(study, neurons, most_units)
    sketched = sum(neurons) * (matching.sketch_slots + CHUNK_UNITS) * 2 if engine == "sketch" else 0
    placement = matching.placement
    if placement == "auto":
        placement = "stored" if stored + sketched <= matching.scratch_gb * 1e9 else "recomputed"
    is_read = placement != "stored"
    reading = {model: reading_bytes(study, size) if is_read else 0 for model, size in sizes.items()}
    cut = cut_pairs(study, sizes, pairs, reading)
    check_jobs(study, cut)
    most = max(cut, key=lambda name: len(cut[name]))
    if placement == "recomputed" and matching.placement == "auto" and engine == "exact" and len(cut[most]) == 1:
        placement = "one_pass"
    if placement == "one_pass" and len(cut[most]) > 1:
        raise StudyError(
            f"matching.placement is one_pass, but matching.memory_mb = {matching.memory_mb} makes {len(cut[most])} "
            f"tiles of {most}; raise it, or take recomputed"
        )
    return Plan(engine, placement, most_units, cut, stored if placement == "stored" else 0, sketched, memory, reading)


def choose_engine(study: Study, neurons: list[int], units: int) -> str:
    """The engine that the study names, or else the cheaper one for networks with these numbers of neurons."""
    matching = study.matching
    if matching.engine != "auto":
        return matching.engine
    pays = units >= SKETCH_PAYS * matching.sketch_slots and min(neurons) >= SKETCH_NEURONS
    fits = 3 * max(neurons) * CHUNK_UNITS * RESCORING_BYTES <= matching.memory_mb * 10**6
    return "sketch" if pays and fits else "exact"


def cut_pairs(
    study: Study, sizes: dict[str, ModelSize], pairs: dict[str, tuple[str, str]], reading: dict[str, int]
) -> dict[str, list[Tile]]:
    """Tiles of every pair that fit into what reading both models leaves of the memory of a matching job, or of its GPU.

    A network that is read lies on the GPU, too.
    """
    matching, cut = study.matching, {}
    memory, stated = matching.memory_mb * 10**6, f"matching.memory_mb is {matching.memory_mb}"
    if on_card := study.device.startswith("cuda") and matching.gpu_memory_gb is not None:
        memory, stated = int(matching.gpu_memory_gb * 1e9), f"matching.gpu_memory_gb is {matching.gpu_memory_gb:g}"
    for name, (a, b) in pairs.items():
        if (need := reading[a] + reading[b]) >= memory:
            raise StudyError(
                f"reading {a} and {b} takes {need / 1e6:,.0f} MB, but {stated}; "
                "raise it, or lower activations.batch_passages"
            )
        cut[name] = tiles(sizes[a].neurons, sizes[b].neurons, memory - need, on_card=on_card)
    return cut


def check_jobs(study: Study, cut: dict[str, list[Tile]]) -> None:
    """Refuse more jobs of tiles than Snakemake can hold: every draw of a null matches each tile of a pair again."""
    nulls = study.nulls
    draws = sum(nulls.draws(null) for null in NULLS) if nulls.rows is None else 0
    each = 1 + 2 + draws  # the pair as it is, its halves, and the nulls, unless these look at some neurons only
    jobs = each * sum(len(of_pair) for of_pair in cut.values() if len(of_pair) > 1)
    if jobs > MOST_JOBS:
        most = max(cut, key=lambda name: len(cut[name]))
        raise StudyError(
            f"{jobs:,} jobs would match tiles, {each} for each of the {len(cut[most]):,} tiles of {most} alone, more "
            f"than {MOST_JOBS:,}; raise matching.memory_mb (or matching.gpu_memory_gb), or set nulls.rows"
        )
