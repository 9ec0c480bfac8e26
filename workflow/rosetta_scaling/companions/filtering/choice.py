"""The rule by which one neuron is chosen, as in the paper (arXiv 2606.03990, section 5.3); written before any result.

It uses the probe text of the study and its domains, never the pool. Among the candidates, those neurons whose strongest
contexts all lie in documents of the target, as the paper has a language model say of them; where no candidate has them
all there, those with the most. Among these the one with the highest mean activation over these contexts, in standard
deviations of the neuron above its mean over the probe text.
"""

import numpy as np
import pandas as pd

from rosetta_scaling.selectivity.contexts import strongest_contexts


def context_table(contexts: pd.DataFrame, in_target: np.ndarray, moments: np.ndarray, top: int) -> pd.DataFrame:
    """By neuron: `hits`, how many of its `top` strongest contexts are of the target, and their mean `strength`.

    `contexts` has columns neuron, unit and activation; `in_target` (units,) says which units are of the target;
    `moments` (neurons, 2) are mean and standard deviation of every neuron. A neuron that never changes has a strength
    of minus infinity.
    """
    strongest = strongest_contexts(contexts, top)
    mean, deviation = moments[strongest.neuron].T
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = np.where(deviation > 0, (strongest.activation - mean) / deviation, -np.inf)
    strongest = strongest.assign(hits=in_target[strongest.unit], strength=strength)
    found = strongest.groupby("neuron").agg(hits=("hits", "sum"), strength=("strength", "mean"))
    return found.reindex(range(len(moments))).fillna({"hits": 0, "strength": -np.inf}).astype({"hits": int})


def choose(table: pd.DataFrame, candidates: np.ndarray) -> int | None:
    """The neuron that the rule chooses among candidates (neurons,) bool; None where there is none."""
    ranked = table[candidates].sort_values(["hits", "strength"], ascending=False, kind="stable")
    return int(ranked.index[0]) if len(ranked) else None
