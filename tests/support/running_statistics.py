"""Running sums of neurons that are fed in chunks of any sizes."""

import itertools

import torch
from unit_tables import unit_table

from rosetta_scaling.activations.statistics import LabelMatrix, NeuronStatistics, WorkSpace
from rosetta_scaling.units.labels import label_units

CPU = torch.device("cpu")
LABELS = label_units(unit_table(documents=90), 5)
UNITS, NEURONS, TOP = len(LABELS.text), 9, 6


def statistics(neurons: int = NEURONS, labels=LABELS, top: int = TOP) -> NeuronStatistics:
    return NeuronStatistics(neurons, LabelMatrix(labels), top, WorkSpace(CPU))


def state_of(x: torch.Tensor, cuts=(), saved_at=(), labels=LABELS, top: int = TOP) -> dict[str, torch.Tensor]:
    """The state after all units, fed in chunks; after the chunks `saved_at` a new object goes on."""
    running = statistics(x.shape[1], labels, top)
    bounds = sorted({0, *cuts, len(x)})
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        running.update(x[start:stop])
        if number in saved_at:
            state = running.finish()
            running = statistics(x.shape[1], labels, top)
            running.resume(state)
    return running.finish()
