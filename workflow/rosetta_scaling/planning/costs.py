"""What the matching of a pair costs."""

import itertools
from typing import NamedTuple

from rosetta_scaling.config.study import Study
from rosetta_scaling.matching.tiles import exact_flops
from rosetta_scaling.planning.sizes import activation_bytes
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.nulls import NULLS


class Work(NamedTuple):
    """Work of one or several jobs."""

    forward: float = 0.0  # floating-point operations of forward passes
    products: float = 0.0  # of products of large matrices
    read: float = 0.0  # bytes of stored activations
    hidden: int = 1  # size of the narrowest network whose forward passes these are


def pair_work(plan: StudyPlan, pair: str) -> Work:
    """What the matching of a pair takes, nulls and stability included, all as often as the plan needs it."""
    matching, study = plan.matching, plan.study
    sizes = [plan.size(model) for model in plan.layout.pairs[pair]]
    neurons, tiles = [size.neurons for size in sizes], matching.tiles[pair]
    drawn = sum(study.nulls.draws(null) for null in NULLS)
    share, readings = 1.0, len(tiles)
    if study.nulls.rows:  # of some neurons and of the k best partners of each, all partners are looked for, one by one
        share = min(1.0, 2 * (1 + study.matching.k) * study.nulls.rows / min(neurons))
        readings = 4
    passes = 0.0
    if matching.placement != "stored":
        passes = readings * drawn + len(tiles) + 5  # the halves, a model with itself, subsets, and planted pairs
        passes += 2 if matching.engine == "sketch" else len(tiles)
    # One of two networks is read for every draw that changes it inside, and before for the means and variances of what
    # the draw makes; those of the network itself are taken once. What is kept of earlier passes is not counted.
    inside = sum(study.nulls.draws(null.name) for null in NULLS.values() if null.inside)
    passes += 1 + inside * (1 if matching.placement != "stored" else 1 + readings) / 2
    products = exact_flops(neurons[0], neurons[1], matching.units)
    own = sum(exact_flops(count, count, matching.units) for count in neurons)
    real = exact_flops(neurons[0], neurons[1], study.matching.sketch_slots) if matching.engine == "sketch" else products
    forward = passes * 2 * probe_tokens(study) * sum(size.parameters for size in sizes)
    read = 0.0
    if matching.placement == "stored":
        once = sum(tile.a1 - tile.a0 + tile.b1 - tile.b0 for tile in tiles)
        times = 2 + drawn * (readings if study.nulls.rows else 1)  # the pair, its halves, and nulls
        read = (times * once + 2 * sum(neurons)) * matching.units * activation_bytes(study)
    return Work(forward, real + own + (share * drawn + 1) * products, read, min(size.hidden for size in sizes))


def partner_rows(plan: StudyPlan, models: list[str]) -> float:
    """Rows of the tables of partners of every two models: the real ones, their halves, resamples, and all nulls.

    A table has a row for every neuron's best partner and for pairs that are among the k best of each other: measured
    per neuron of either model 0.8 at k = 1, 1.9 at 5, and 4.1 at 10.
    """
    nulls, rows = plan.study.nulls, 0.0
    drawn = sum(nulls.draws(null) for null in NULLS)
    for pair in itertools.combinations(models, 2):
        neurons = sum(plan.size(model).neurons for model in pair)
        sampled = min(neurons, 4 * nulls.rows) if nulls.rows else neurons
        rows += (1 + plan.study.matching.k / 3) * ((3 + plan.study.stability.bootstrap) * neurons + drawn * sampled)
    return rows


class TrainingWork(NamedTuple):
    """What training a network takes; nothing where it is not trained by the study."""

    operations: float = 0.0  # floating-point operations
    steps: int = 0


def training_work(plan: StudyPlan, model: str) -> TrainingWork:
    """6 operations per parameter and token, as if the embedding of the input were a product, too."""
    if not plan.layout.is_trained_here(model):
        return TrainingWork()
    size, ladder = plan.size(model), plan.study.ladder
    if further := plan.study.families[plan.layout.family(model)].tokens:  # of a network that is trained further
        ladder = ladder.of_tokens(further)
    tokens, steps = (of(size.non_embedding_parameters) for of in (ladder.tokens_of, ladder.steps_of))
    return TrainingWork(6.0 * size.parameters * tokens, steps)


def probe_tokens(study: Study) -> float:
    """About how many tokens of text every network reads: one for three bytes; of images, how many patches."""
    if study.modality == "image":
        return study.most_patches
    return study.corpus.probe_bytes_per_domain * study.corpus.most_domains / 3
