"""Compare Rosetta neurons with the others, for every curve."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.selectivity import OF_CURVE
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_table

if TYPE_CHECKING:
    from rosetta_scaling.selectivity.polarization.tables import NeuronSet, PointModel


def polarization_inputs(plan: StudyPlan, curve: str) -> Inputs:
    """The Rosetta neurons of a curve, and the selectivity of its models on the units of its points."""
    layout, neurons = plan.layout, set()
    rungs = plan.study.points_of(curve)
    for rung in rungs:
        for member, model in enumerate(layout.points[curve, rung]):
            neurons.add(layout.selectivity(layout.scope_of_member(curve, rung, member), model))
    return {"rosetta": [layout.rosetta(curve, rung) for rung in rungs], "neurons": sorted(neurons)}


def write_polarization(layout: Layout, curve: str, paths: Mapping[str, str]) -> None:
    """Write every one of the POLARIZATION_TABLES of a curve to its path."""
    from rosetta_scaling.selectivity.polarization.tables import curve_tables

    tables = curve_tables(neuron_sets(layout, curve), layout.study.polarization.confidence)
    for name, path in paths.items():
        write_checked_table(path, tables[name], OF_CURVE[name])


def neuron_sets(layout: Layout, curve: str) -> Iterator["NeuronSet"]:
    """All sets of a curve: the primary criterion, what of it survives calibration, and the strongest correlations."""
    from rosetta_scaling.selectivity.polarization.tables import neuron_set

    study = layout.study
    for of in read_models(layout, curve):
        for name in study.judged_sets:
            rng = np.random.default_rng([study.nulls.seed, seed_from([curve, of.point, of.model, name])])
            yield neuron_set(of, name, study.polarization.draws, rng)


def read_models(layout: Layout, curve: str) -> Iterator["PointModel"]:
    """Read the models of all points of a curve.

    In the models that are not the anchor, the Rosetta neurons are the best partners of the anchor's.
    """
    from rosetta_scaling.selectivity.polarization.tables import PointModel

    for rung in layout.study.points_of(curve):
        rosetta = read_table(layout.rosetta(curve, rung))
        for member, model in enumerate(layout.points[curve, rung]):
            neurons = read_table(layout.selectivity(layout.scope_of_member(curve, rung, member), model))
            column = "neuron" if member == 0 else f"partner_{model}"
            chosen = {name: rosetta.loc[rosetta[name], column].to_numpy() for name in layout.study.judged_sets}
            yield PointModel(curve, rung, model, member == 0, neurons, chosen)
