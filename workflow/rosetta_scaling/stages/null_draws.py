"""One draw of a null of a pair, and the best partners of neurons within their own model."""

import functools

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.matching.neighbours import Neighbours, partner_table
from rosetta_scaling.matching.replicates import match_sample
from rosetta_scaling.matching.whole import match_all
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.facts import pair_facts
from rosetta_scaling.stages.partners import best_partners
from rosetta_scaling.stages.sampling import sample_neurons
from rosetta_scaling.stages.sources import open_pair, open_source


def own_partners(plan: StudyPlan, pair: str, device: torch.device) -> pd.DataFrame:
    """The best partner of every neuron within its own model, as rows of a table of partners.

    In draw 0 the neurons of A stand for those of B too (changed `b`), in draw 1 those of B for those of A.
    """
    tables = []
    for draw, files in enumerate(pair_facts(plan, pair).sources):
        a, b = (open_source(files, plan.study, device) for _ in "ab")
        best = match_all(a, b, 3, plan.matching.free_bytes([files.model, files.model]), device=device).a
        r, partner = best_other(best)
        found = np.flatnonzero(partner >= 0)
        mutual = partner[partner[found]] == found
        mine, other = ("a", "b") if draw == 0 else ("b", "a")
        columns: dict[str, object] = {f"neuron_{mine}": found, f"neuron_{other}": partner[found], "r": r[found]}
        columns |= {f"rank_{mine}": 1, f"rank_{other}": mutual.astype(int), "draw": draw, "changed": other}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def best_other(best: Neighbours) -> tuple[np.ndarray, np.ndarray]:
    """r and number of the best partner of every neuron that is not itself; -1 where there is none."""
    partner = best.partner.numpy()
    value = np.where((partner == np.arange(len(partner))[:, None]) | (partner < 0), -np.inf, best.r.numpy())
    place = value.argmax(1)
    r = value[np.arange(len(value)), place].astype(float)
    return r, np.where(r > -np.inf, partner[np.arange(len(value)), place], -1)


def null_draw(plan: StudyPlan, pair: str, variant: str, device: torch.device) -> pd.DataFrame:
    k, rows, facts = plan.study.matching.k, plan.study.nulls.rows, pair_facts(plan, pair)
    if rows is None:
        return partner_table(*best_partners(plan, pair, variant, device).final, k)
    a, b = open_pair(facts, variant, device)
    memory = plan.matching.free_bytes(facts.models)
    match = functools.partial(match_all, k=k + 1, memory=memory, device=device)
    index_a, index_b = (sample_neurons(plan, model, rows, "null") for model in facts.models)
    table = match_sample(a, b, index_a, index_b, k=k, match=match)
    return table.assign(sampled_a=table.neuron_a.isin(index_a), sampled_b=table.neuron_b.isin(index_b))
