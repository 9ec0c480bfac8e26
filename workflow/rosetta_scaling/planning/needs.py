"""What jobs ask of a cluster: memory, time and GPUs, from the sizes of networks and the settings of a study.

Plain arithmetic, on the same operation counts as `make plan`. The figures are meant to be enough, not to be exact: a
job killed for exceeding its request is retried with twice as much. Local runs request nothing.
"""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rosetta_scaling.activations.chunks import CHUNK_UNITS, KEPT_BYTES, SLOTS
from rosetta_scaling.matching.tiles import exact_flops
from rosetta_scaling.networks.model_sizes import ModelSize
from rosetta_scaling.planning.costs import pair_work, partner_rows, probe_tokens, training_work
from rosetta_scaling.planning.rates import H100
from rosetta_scaling.planning.sizes import activation_bytes, reading_bytes, weight_bytes
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.nulls import NULLS

# Measured: two Snakemakes that SLURM runs around a job (330 MB), torch and its libraries (500 MB).
BASE_MB = 1200
GPU_BASE_MB = 600  # of a GPU: what CUDA and its libraries take in every process; not measured
TABLES_MB = 2000
TRAINING_BYTES = 16  # per parameter in float32: weight, gradient, two moments
HELD_OUT_SEQUENCES = 32  # for which the loss is computed at once
STATISTICS_BYTES = 20_000  # per neuron: sums and metrics of all its texts, domains and contexts
COMPARED_BYTES = 5_000  # per neuron: its metrics and those of its placebos
VIEWED_BYTES = 10_000  # per neuron and network beside it: its tables, and its examples in this and in other networks
VIEWED_PATCH_BYTES = 40  # in addition, per patch of an image: all patches of the 20 examples are shown, one byte each
VIEWED_SECONDS = 0.005  # to write the examples of one: measured, with room
PARTNER_BYTES = 100  # per row of a table of partners: one neuron of either model and a null or a draw

# To start Snakemake twice and to load the libraries from a shared file system, which may be busy.
START_MINUTES = 5
MARGIN = 3  # between what is expected and what is asked for
LONGEST_MINUTES = 2 * 1440  # few clusters grant more; unfinished work continues in the next attempt
# Operations per second. A core reached 1e10 on the smallest networks and 3e10 on the largest of the default study; on a
# GPU, networks are expected to reach half of what products do from a hidden size of 4,000 on, and less when smaller.
CORE_RATE, PRODUCT_RATE, HALF_RATE_HIDDEN = 1e10, 4e14, 4000
NEURON_SECONDS = 0.01  # to judge the selectivity of one: measured, with room
READ_RATE = 1e8  # bytes per second from a shared file system
GPU_WEIGHTS_GB = 40  # weights on one GPU: half of it, when the study does not say (networks.memory_gb)
QUICK_MINUTES = 60  # jobs of a model or of a pair that take less in all share one job of the cluster


@dataclass(frozen=True)
class Need:
    """What one attempt asks for. The time to start is added to `minutes` of work."""

    memory_mb: float = TABLES_MB
    minutes: float = 0.0
    gpus: int = 0


SMALL = Need()  # of a job that makes tables or pages


def memory(need: Callable | Need) -> Callable:
    """The resource `mem_mb` of a rule: base and need, doubled with every attempt."""
    return _resource(need, lambda found: BASE_MB + found.memory_mb, grows=True)


def runtime(need: Callable | Need) -> Callable:
    """The resource `runtime` of a rule in minutes: the start and thrice the need, doubled with every attempt."""
    return _resource(need, minutes_asked, grows=True)


def gpu(need: Callable) -> Callable:
    """The resource `gpu` of a rule: the number of GPUs."""
    return _resource(need, lambda found: found.gpus, grows=False)


def gpu_memory(need: Callable) -> Callable:
    """The resource `gpu_mb` of a rule: what a job takes of a GPU, at most what it takes of main memory without one.

    A local profile limits it, so that several small jobs share a GPU (see workflow/profiles/gpu); a cluster ignores it.
    """
    return _resource(need, lambda found: GPU_BASE_MB + found.memory_mb if found.gpus else 0, grows=False)


def minutes_asked(need: Need) -> float:
    return min(START_MINUTES + MARGIN * need.minutes, LONGEST_MINUTES)


def _resource(need: Callable | Need, value: Callable[[Need], float], grows: bool) -> Callable:
    def resource(wildcards: object, attempt: int) -> int:
        found = value(need(wildcards) if callable(need) else need)
        return math.ceil(found * 2 ** (attempt - 1 if grows else 0))

    return resource


# -- networks --------------------------------------------------------------------------------------------------------


def gpus(plan: StudyPlan, models: Iterable[str] = ()) -> int:
    """GPUs for a job that holds these networks at once; none when the study computes without."""
    if plan.study.device == "cpu":
        return 0
    weights = sum(weight_bytes(plan.study) * plan.size(model).parameters for model in models)
    return max(1, math.ceil(weights / 1e9 / (plan.study.networks.memory_gb or GPU_WEIGHTS_GB)))


def minutes(plan: StudyPlan, models: Iterable[str], networks: float = 0.0, products: float = 0.0) -> float:
    """Time for `networks` floating-point operations in these networks and `products` in products of large matrices."""
    if plan.study.device == "cpu":
        return (networks + products) / CORE_RATE / 60
    hidden = min(plan.size(model).hidden for model in models)
    network_rate = PRODUCT_RATE / 2 * min(1, hidden / HALF_RATE_HIDDEN)
    return (networks / network_rate + products / PRODUCT_RATE) / 60


def training(plan: StudyPlan, model: str) -> Need:
    """The weights, and what is kept of a batch for its gradients; the loss on held-out text comes on top.

    Measured on a processor: 17 language models of four studies, to 8 million parameters, took a half to nine tenths of
    this; of those of images a classifier a half, a masked autoencoder a quarter.
    """
    size, settings = plan.size(model), plan.study.ladder
    is_bloom = plan.study.families[plan.layout.family(plan.layout.root(model))].architecture == "bloom"
    attention = 2 * settings.context * settings.rungs[plan.layout.rung(model)].heads if is_bloom else 0
    layer = 6 * size.width + 16 * size.hidden + attention  # numbers per token; BLOOM keeps how it attends to all others
    batch = settings.batch_sequences * settings.context
    if plan.study.device == "cpu":
        held_out = HELD_OUT_SEQUENCES * settings.context * (layer + 2 * size.vocabulary)
        activations = 4 * (batch * (size.layers * layer + 4 * size.vocabulary) + held_out)
    else:  # in bfloat16, and thrice, since passes before a recording take memory, too; not measured
        activations = 3 * 2 * batch * (size.layers * layer + size.vocabulary)
    memory_mb = (TRAINING_BYTES * size.parameters + activations) / 1e6
    if plan.layout.source(model) == "continued":  # it reads the documents itself
        memory_mb += texts(plan).memory_mb
    work = training_work(plan, model)
    seconds = work.operations / CORE_RATE if plan.study.device == "cpu" else H100.training_seconds(work)
    return Need(memory_mb, seconds / 60, gpus(plan))


def reading(plan: StudyPlan, model: str, passes: int = 1) -> Need:
    """2 operations per parameter and token for every pass; a network at work, sums of its neurons, a chunk of units."""
    size = plan.size(model)
    memory_mb = (reading_bytes(plan.study, size) + (STATISTICS_BYTES + 8 * CHUNK_UNITS) * size.neurons) / 1e6
    operations = passes * 2 * size.parameters * probe_tokens(plan.study)
    work = minutes(plan, [model], operations) + _minutes_to_load(plan, size)
    return Need(memory_mb, work, gpus(plan, [model]))


def selectivity(plan: StudyPlan, model: str) -> Need:
    """Selectivity: the weights in float32, all metrics of all neurons."""
    size = plan.size(model)
    memory_mb = (4 * size.parameters + STATISTICS_BYTES * size.neurons) / 1e6
    products = 2 * size.neurons * size.hidden * size.vocabulary
    work = size.neurons * NEURON_SECONDS / 60 + minutes(plan, [model], products=products) + _minutes_to_load(plan, size)
    return Need(memory_mb, work, gpus(plan))


def auditing(plan: StudyPlan, rung: str) -> Need:
    """Every file of weights of a rung is read; its two largest networks are in memory at once."""
    weights = sorted(4 * plan.size(model).parameters for model in plan.layout.models_of_rung(rung))
    return Need(sum(weights[-2:]) / 1e6, sum(weights) / READ_RATE / 60)


def copying(plan: StudyPlan, model: str) -> Need:
    """A network is checked or written, in float32."""
    size = plan.size(model)
    return Need(2 * 4 * size.parameters / 1e6, _minutes_to_load(plan, size))


def _minutes_to_load(plan: StudyPlan, size: ModelSize) -> float:
    return weight_bytes(plan.study) * size.parameters / READ_RATE / 60


# -- text ------------------------------------------------------------------------------------------------------------


def texts(plan: StudyPlan) -> Need:
    """The corpus as Python strings, tokens and tables: about a hundred times its bytes; a microsecond a byte."""
    corpus = plan.study.corpus
    size = corpus.bytes_per_domain * corpus.most_domains
    return Need(TABLES_MB + 100 * size / 1e6, size / 1e6 / 60)


# -- pages -----------------------------------------------------------------------------------------------------------


def viewing(plan: StudyPlan) -> Need:
    """All neurons of one network at a time, beside its best partners; networks that are not stored are read again."""
    layout, reads = plan.layout, dict.fromkeys(plan.layout.models, 2)  # to choose examples, and to show them
    for pair in layout.pairs.values():
        reads = {model: count + (model in pair) for model, count in reads.items()}
    most = max(reads.values()) - 1
    patches = plan.study.units.max_tokens if plan.study.modality == "image" else 0
    of_neuron = (VIEWED_BYTES + VIEWED_PATCH_BYTES * patches) * most
    memory_mb = max(of_neuron * plan.size(model).neurons for model in reads) / 1e6
    work = sum(plan.size(model).neurons for model in reads) * VIEWED_SECONDS / 60
    if not plan.stores_activations:
        memory_mb += max(reading_bytes(plan.study, plan.size(model)) for model in reads) / 1e6
        work += sum(reading(plan, model, count).minutes for model, count in reads.items())
    return Need(memory_mb, work, max(gpus(plan, [model]) for model in reads))


# -- pairs -----------------------------------------------------------------------------------------------------------


def matching(plan: StudyPlan, pair: str) -> Need:
    """All that is multiplied for a pair, nulls and stability included: a bound for each of the jobs that do a part.

    Memory: the budget of the study, a network that is read for a null, and the tables of partners of all draws.
    """
    models, study = plan.layout.pairs[pair], plan.study
    neurons = sum(plan.size(model).neurons for model in models)
    draws = max(*(study.nulls.draws(null) for null in NULLS), study.stability.bootstrap)
    tables_mb = PARTNER_BYTES * draws * study.matching.k * neurons / 1e6
    memory_mb = study.matching.memory_mb + _network_mb(plan, pair) + _pinned_mb(plan, pair) + tables_mb
    found = pair_work(plan, pair)
    work = minutes(plan, models, found.forward, found.products)
    return Need(memory_mb, work, _gpus_of_pair(plan, pair))


def tiling(plan: StudyPlan, pair: str) -> Need:
    """One tile: its products, and both networks once when activations are not stored; else one of them, for a null."""
    cut, models = plan.matching, plan.layout.pairs[pair]
    sizes, tile = [plan.size(model) for model in models], max(cut.tiles[pair], key=lambda tile: tile.bytes)
    products = exact_flops(tile.a1 - tile.a0, tile.b1 - tile.b0, cut.units)
    work = minutes(plan, models, products=products) + sum(_minutes_to_load(plan, size) for size in sizes)
    if cut.placement != "stored":
        work += minutes(plan, models, 2 * probe_tokens(plan.study) * sum(size.parameters for size in sizes))
    work += max(reading(plan, model, passes=3).minutes for model in models)  # to rotate one before its nonlinearity
    memory_mb = plan.study.matching.memory_mb + _network_mb(plan, pair) + _pinned_mb(plan, pair)
    return Need(memory_mb, work, _gpus_of_pair(plan, pair))


def sketching(plan: StudyPlan, model: str) -> Need:
    """One pass over a network and its activations."""
    return Need(plan.study.matching.memory_mb, reading(plan, model).minutes, gpus(plan, [model]))


def proposing(plan: StudyPlan, pair: str) -> Need:
    """The product of two sketches."""
    (a, b), settings = plan.layout.pairs[pair], plan.study.matching
    products = exact_flops(plan.size(a).neurons, plan.size(b).neurons, settings.sketch_slots)
    return Need(settings.memory_mb, minutes(plan, (a, b), products=products), gpus(plan))


def rescoring(plan: StudyPlan, group: str) -> Need:
    """Two passes over all networks of a group, and as much again for neurons that need a whole row."""
    models = sorted({model for pair in plan.layout.groups[group] for model in plan.layout.pairs[pair]})
    work = sum(4 * reading(plan, model).minutes for model in models)
    return Need(plan.study.matching.memory_mb, work, gpus(plan, models))


def _network_mb(plan: StudyPlan, pair: str) -> float:
    """Beside the budget, what is kept of the network that a null reads, and where activations are stored, it itself."""
    most = max(reading_bytes(plan.study, plan.size(model)) for model in plan.layout.pairs[pair])
    return (KEPT_BYTES + (most if plan.stores_activations else 0)) / 1e6


def _pinned_mb(plan: StudyPlan, pair: str) -> float:
    """What is stored goes to a GPU through memory of the processor: three chunks of the neurons of a tile."""
    if plan.study.device == "cpu" or not plan.stores_activations:
        return 0.0
    neurons = max(tile.a1 - tile.a0 + tile.b1 - tile.b0 for tile in plan.matching.tiles[pair])
    return SLOTS * activation_bytes(plan.study) * CHUNK_UNITS * neurons / 1e6


def _gpus_of_pair(plan: StudyPlan, pair: str) -> int:
    """Both networks are at work in the job when activations are not stored, else one of them, for a null."""
    models = plan.layout.pairs[pair]
    return max(gpus(plan, [model]) for model in models) if plan.stores_activations else gpus(plan, models)


# -- tables ----------------------------------------------------------------------------------------------------------


def comparing(plan: StudyPlan, curve: str) -> Need:
    """Placebo sets of all neurons of the models of a curve, one after the other; or all partners of a point."""
    points = [point for (name, _), point in plan.layout.points.items() if name == curve]
    neurons = max(plan.size(model).neurons for point in points for model in point)
    rows = max(partner_rows(plan, point) for point in points)
    memory_mb = max(COMPARED_BYTES * neurons, PARTNER_BYTES * rows) / 1e6
    return Need(TABLES_MB + memory_mb, neurons * NEURON_SECONDS / 60)


def judging_again(plan: StudyPlan) -> Need:
    """All points once more, one after the other, with fewer draws."""
    curves = [comparing(plan, curve) for curve in plan.study.curves]
    return Need(max(need.memory_mb for need in curves), sum(need.minutes for need in curves))


@functools.cache
def is_quick(plan: StudyPlan) -> bool:
    """Whether the jobs of every model, and those of every pair, are so short that they should share one job."""
    untrained = plan.study.nulls.untrained_draws
    chains = [
        (training(plan, model).minutes if plan.layout.is_trained_here(model) else 0)
        + reading(plan, model, 1 + untrained).minutes
        + selectivity(plan, model).minutes
        for model in plan.layout.models
    ]
    chains += [3 * matching(plan, pair).minutes for pair in plan.layout.pairs]
    return MARGIN * max(chains) <= QUICK_MINUTES
