"""Marks of the neurons of a pair, from the statistics of the activations of its networks."""

from pathlib import Path

import numpy as np
import pandas as pd

from rosetta_scaling.numerics.runs import begins_run
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.facts import pair_facts
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table


def mark_inputs(plan: StudyPlan, pair: str) -> Inputs:
    """The units, and the summary of each folder of activations, which stands for all files in it."""
    facts = pair_facts(plan, pair)
    return {"units": [facts.units], "activations": [f"{source.folder}/summary.json" for source in facts.sources]}


def add_marks(plan: StudyPlan, pair: str, table: pd.DataFrame) -> None:
    """Add columns to a table of partners: the marks of the neurons of both models (see selectivity/marks.py)."""
    from rosetta_scaling.selectivity.marks import marks_of_layer
    from rosetta_scaling.store.tensors import open_tensors

    files = mark_inputs(plan, pair)
    passage = read_table(files["units"][0]).passage.to_numpy()
    starts = begins_run(passage)
    for side, summary in zip("ab", files["activations"], strict=True):
        layers = []
        for file in sorted(Path(summary).parent.glob("statistics/layer-*.safetensors")):
            with open_tensors(file) as state:
                layers.append(marks_of_layer(state.get_tensor, starts))
        table[f"mark_{side}"] = np.concatenate(layers)[table[f"neuron_{side}"]]
