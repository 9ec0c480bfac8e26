"""The marks of a pair, from statistics that lie where a study has them."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from running_statistics import LABELS, state_of
from unit_tables import unit_table

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.parsing import load
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.marks import add_marks, mark_inputs
from rosetta_scaling.store.tables import write_table
from rosetta_scaling.store.tensors import write_tensors

PAIR = "neox-r3--bloom-r3"


def test_neurons_of_all_layers_are_marked_on_both_sides(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = StudyPlan(Layout(load(WORKFLOW / "studies/smoke.yaml"), corpus_key="k"))
    units = unit_table(documents=90)
    starts = torch.from_numpy(np.append(True, np.diff(units.passage) != 0)).float()
    files = mark_inputs(plan, PAIR)
    write_table(files["units"][0], units)
    fires = {0: [(0, 2)], 1: [(1, 0), (1, 1)]}  # side -> layer and channel of what fires on starts
    for side, summary in enumerate(files["activations"]):
        for layer in (0, 1):
            x = torch.randn(len(starts), 3, generator=torch.Generator().manual_seed(layer))
            for at, channel in fires[side]:
                x[:, channel] += (at == layer) * 9 * starts
            write_tensors(
                Path(summary).parent / f"statistics/layer-{layer:03d}.safetensors", state_of(x, labels=LABELS)
            )
    table = pd.DataFrame({"neuron_a": np.arange(6), "neuron_b": np.arange(6)[::-1]})
    add_marks(plan, PAIR, table)
    assert np.flatnonzero(table.mark_a == "start").tolist() == [2]
    assert table.neuron_b[table.mark_b == "start"].tolist() == [4, 3]
    assert set(table.mark_a) | set(table.mark_b) == {"none", "start"}
