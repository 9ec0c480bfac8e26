"""How stable the matches of a pair are."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.matching import REPLICATE
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.facts import pair_facts, variants_inputs
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    import torch

HALVES = ("half0", "half1")


def stability_inputs(plan: StudyPlan, pair: str) -> Inputs:
    """Both halves of the text, and the models themselves."""
    neighbours = plan.layout.neighbours(*plan.layout.pairs[pair])
    return variants_inputs(plan, pair, HALVES) | {"neighbours": [neighbours]}


def replicate_pair(plan: StudyPlan, pair: str, device: "torch.device", folder: Path) -> None:
    """Write folder/{half, bootstrap, subset, subset_rotate}.parquet: tables of partners with a column draw.

    `half` has a column heldout_r, the correlation on the other half; in `subset` equally many random neurons of both
    models were compared, in `subset_rotate` the same with one model rotated.
    """
    from rosetta_scaling.matching.neighbour_files import read_neighbours
    from rosetta_scaling.matching.replicates import GroupSums, match_subsets, resample
    from rosetta_scaling.stages.half_tables import half_tables, pair_codes, pairs_of_codes
    from rosetta_scaling.stages.partners import best_partners
    from rosetta_scaling.stages.sampling import sample_neurons
    from rosetta_scaling.stages.sources import open_pair
    from rosetta_scaling.units.groups import document_groups

    facts, settings, k = pair_facts(plan, pair), plan.study.stability, plan.study.matching.k
    seed, neurons_b = plan.study.nulls.seed, facts.neurons[1]
    halves = [best_partners(plan, pair, half, device).popitem()[1] for half in HALVES]
    near = read_neighbours(plan.layout.neighbours(*facts.models))[1].popitem()[1]
    code = pair_codes([near, *halves], neurons_b)
    a, b = open_pair(facts, "real", device)
    groups = document_groups(read_table(facts.units).doc.to_numpy(), seed)
    sums = GroupSums(a, b, pairs_of_codes(code, neurons_b), groups)
    found_on_halves = half_tables(sums, halves, code, k=k, neurons_b=neurons_b)
    write_checked_table(folder / "half.parquet", found_on_halves, REPLICATE)
    resampled = resample(sums, near, k, settings.bootstrap, [seed, 4])
    write_checked_table(folder / "bootstrap.parquet", resampled, REPLICATE)
    first, second = (partial(sample_neurons, plan, model, plan.sizes.smallest, "subset") for model in facts.models)
    subsets = [(first(draw), second(draw)) for draw in range(settings.subset_draws)]
    write_checked_table(folder / "subset.parquet", match_subsets(a, b, subsets, k), REPLICATE)
    a, b = open_pair(facts, "rotate0", device)
    write_checked_table(folder / "subset_rotate.parquet", match_subsets(a, b, subsets, k), REPLICATE)
