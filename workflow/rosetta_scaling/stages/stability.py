"""How stable the matches of a pair are."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rosetta_scaling.numerics.seeds import random_subset, seed_from
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.matching import PLANTED_PAIRS, REPLICATE
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.facts import PairFacts, pair_facts, variants_inputs
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch

    from rosetta_scaling.matching.neighbours import BestPartners
    from rosetta_scaling.matching.planting import Sites

HALVES = ("half0", "half1")


def stability_inputs(plan: StudyPlan, pair: str) -> Inputs:
    """Both halves of the text, and the models themselves."""
    neighbours = plan.layout.neighbours(*plan.layout.pairs[pair])
    return variants_inputs(plan, pair, HALVES) | {"neighbours": [neighbours]}


def replicate_pair(plan: StudyPlan, pair: str, device: "torch.device", folder: Path) -> None:
    """Write folder/{half, bootstrap, subset, subset_rotate}.parquet: tables of partners with a column draw.

    `half` has a column heldout_r, the correlation on the other half; in `subset` equally many random neurons of both
    models were compared, in `subset_rotate` the same with one model rotated. And planted.parquet: how pairs rank that
    are planted into both models (see matching/planting.py).
    """
    from rosetta_scaling.matching.neighbour_files import read_neighbours
    from rosetta_scaling.matching.planting import planted_pairs
    from rosetta_scaling.matching.replicates import GroupSums, match_subsets, resample
    from rosetta_scaling.stages.half_tables import half_tables, pair_codes, pairs_of_codes
    from rosetta_scaling.stages.partners import best_partners
    from rosetta_scaling.stages.sampling import sample_neurons
    from rosetta_scaling.stages.sources import open_pair
    from rosetta_scaling.units.groups import document_groups

    facts, settings, k = pair_facts(plan, pair), plan.study.stability, plan.study.matching.k
    seed, neurons_b = plan.study.nulls.seed, facts.neurons[1]
    halves = [best_partners(plan, pair, half, device).final for half in HALVES]
    near = read_neighbours(plan.layout.neighbours(*facts.models))[1].final
    code = pair_codes([near, *halves], neurons_b)
    a, b = open_pair(facts, "real", device)
    groups = document_groups(read_table(facts.units).doc.to_numpy(), seed)
    sums = GroupSums(a, b, pairs_of_codes(code, neurons_b), groups)
    found_on_halves = half_tables(sums, halves, code, k=k, neurons_b=neurons_b)
    write_checked_table(folder / "half.parquet", found_on_halves, REPLICATE)
    resampled = resample(sums, near, k, settings.bootstrap, seed=[seed, 4])
    write_checked_table(folder / "bootstrap.parquet", resampled, REPLICATE)
    first, second = (partial(sample_neurons, plan, model, plan.sizes.smallest, "subset") for model in facts.models)
    subsets = [(first(draw), second(draw)) for draw in range(settings.subset_draws)]
    write_checked_table(folder / "subset.parquet", match_subsets(a, b, subsets, k), REPLICATE)
    planted = planted_pairs(a, b, *planting_sites(plan, facts, near), device=device)
    write_checked_table(folder / "planted.parquet", planted, PLANTED_PAIRS)
    a, b = open_pair(facts, "rotate0", device)
    write_checked_table(folder / "subset_rotate.parquet", match_subsets(a, b, subsets, k), REPLICATE)


def planting_sites(plan: StudyPlan, facts: PairFacts, near: "BestPartners") -> tuple["Sites", "Sites"]:
    """Where pairs are planted in B, and in A.

    The originals of a network are the same in all its pairs, and among the neurons that its nulls look at.
    """
    from rosetta_scaling.matching.neighbours import BestPartners
    from rosetta_scaling.matching.planting import choose_sites
    from rosetta_scaling.stages.sampling import sample_neurons

    nulls, sites = plan.study.nulls, []
    for model, best in zip(facts.models, (near, BestPartners(near.b, near.a)), strict=True):
        known = sample_neurons(plan, model, nulls.rows, "null")
        some = random_subset(len(known), plan.study.stability.planted, nulls.seed, model, "planted")
        random = np.random.default_rng(seed_from([nulls.seed, *sorted(facts.models), model, "hosts"]))
        sites.append(choose_sites(best, known[some], random))
    return sites[0], sites[1]
