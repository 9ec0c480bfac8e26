"""Follow the neurons of anchors that are trained further."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.continued import CONTINUED
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.store.tables import read_json, read_table

if TYPE_CHECKING:
    from rosetta_scaling.points.continued import Continuation


def continuations(layout: Layout) -> Iterator[tuple[str, str, str]]:
    """Curve, point, and the network that the anchor of the point becomes when it is trained further."""
    for (curve, rung), models in layout.points.items():
        for model, origin in layout.continued.items():
            if models[0] == origin:
                yield curve, rung, model


def continued_inputs(plan: StudyPlan) -> Inputs:
    """The Rosetta neurons of anchors that are trained further, their matches and nulls, and what neurons fire on."""
    layout, pairs = plan.layout, plan.layout.continued.items()
    return {
        "rosetta": sorted({layout.rosetta(curve, rung) for curve, rung, _ in continuations(layout)}),
        "matches": [layout.matches(origin, model) for model, origin in pairs],
        "nulls": [layout.null(null, origin, model) for model, origin in pairs for null in NULLS],
        "neurons": sorted(
            {layout.selectivity(layout.scope(*pair), network) for pair in pairs for network in pair},
        ),
        "manifests": [layout.checkpoint_manifest(model) for model in layout.continued],
    }


def write_continued(plan: StudyPlan, out: str) -> None:
    """Write what becomes of the neurons of all anchors that are trained further."""
    from rosetta_scaling.points.continued import fate_rows
    from rosetta_scaling.selectivity.polarization.tables import neuron_set

    layout, study, rows = plan.layout, plan.study, []
    for curve, rung, model in continuations(layout):
        one, manifest = read_continuation(plan, curve, rung, model), read_json(layout.checkpoint_manifest(model))
        about = {"curve": curve, "point": rung, "anchor": one.anchor.model, "model": model}
        about |= {"text": layout.further_text(model)}
        about |= {f"bits_{when}": manifest[f"domain_bits_{when}"] for when in ("before", "after")}
        for name in study.judged_sets:
            rng = np.random.default_rng([study.nulls.seed, seed_from([curve, rung, model, name])])
            of = neuron_set(one.anchor, name, study.polarization.draws, rng)
            fates = fate_rows(one, of, study.matching.criteria[0], study.polarization.confidence)
            rows += [about | row for row in fates]
    write_checked_table(out, pd.DataFrame(rows, columns=CONTINUED.names), CONTINUED)


def read_continuation(plan: StudyPlan, curve: str, rung: str, model: str) -> "Continuation":
    """Read what is known of the anchor of a point and of the network that it becomes."""
    from rosetta_scaling.points.continued import Continuation
    from rosetta_scaling.points.point import nulls_with_excess
    from rosetta_scaling.selectivity.information import document_types
    from rosetta_scaling.selectivity.polarization.tables import PointModel
    from rosetta_scaling.stages.point_tables import read_partners

    layout, study = plan.layout, plan.study
    origin, rosetta = layout.original(model), read_table(layout.rosetta(curve, rung))
    before, after = (read_table(layout.selectivity(layout.scope(origin, model), one)) for one in (origin, model))
    chosen = {name: rosetta.neuron[rosetta[name]].to_numpy() for name in study.judged_sets}
    nulls = {null: read_partners(layout, [origin, model], partial(layout.null, null)) for null in NULLS}
    looked_at = min(len(before), study.nulls.rows or len(before))
    nulls = nulls_with_excess(nulls, {origin: len(before), model: len(after)}, study.nulls.rows is not None)
    domain = study.families[layout.family(model)].domain
    if domain is not None and f"firing_{domain}" not in before:
        (domain,) = document_types([domain])  # of the Pile, whose domains are grouped
    return Continuation(
        anchor=PointModel(curve, rung, origin, True, before, chosen),
        after=after,
        matches=read_partners(layout, [origin, model], layout.matches).anchored[model],
        nulls={null: tables.anchored[model] for null, tables in nulls.items()},
        domain=domain,
        scale=len(before) / looked_at,
    )
