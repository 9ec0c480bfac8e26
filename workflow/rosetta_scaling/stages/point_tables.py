"""Read all that was matched at a point, and make its tables."""

from collections.abc import Callable
from functools import partial

import pandas as pd

from rosetta_scaling.fits.theory.data import point_isolation
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.points.above_r import point_above_r
from rosetta_scaling.points.counts import point_counts, point_snapshots
from rosetta_scaling.points.decomposition import point_decomposition
from rosetta_scaling.points.depth import point_depth, point_diagonal, point_layers
from rosetta_scaling.points.planted import point_lists, point_planted
from rosetta_scaling.points.point import PartnerTables, Point, nulls_with_excess
from rosetta_scaling.points.recurrence import point_recurrence
from rosetta_scaling.points.rosetta import orient
from rosetta_scaling.schemas.names import REPLICATES
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.store.tables import read_json, read_table


def read_point(plan: StudyPlan, curve: str, rung: str) -> Point:
    """Read all that was matched at a point."""
    layout, study = plan.layout, plan.study
    models = layout.points[curve, rung]
    read = partial(read_partners, layout, models)
    widths = read_widths(layout, curve, rung)
    nulls = {null: first_draws(read(partial(layout.null, null)), study.nulls.draws(null)) for null in NULLS}
    sizes = {model: sum(of_model) for model, of_model in widths.items()}
    return Point(
        study=study,
        widths=widths,
        units=read_json(layout.match_summary(*models[:2]))["units"],
        smallest=plan.sizes.smallest,
        real=read(layout.matches),
        nulls=nulls_with_excess(nulls, sizes, study.nulls.rows is not None),
        own=read(partial(layout.null, "own")),
        replicates={kind: read(partial(layout.replicate, kind)) for kind in REPLICATES},
        planted=read(partial(layout.replicate, "planted")),
        snapshots=read(layout.snapshots),
    )


def first_draws(null: PartnerTables, draws: int) -> PartnerTables:
    """The draws that the study asks for; a table may have more (see settled.py)."""
    return null.map(lambda table: table[table.draw < draws])


def read_widths(layout: Layout, curve: str, rung: str) -> dict[str, list[int]]:
    """Read the neurons of every layer of every model of a point, the anchor first."""
    summaries = map(read_json, layout.summaries(curve, rung))
    return {model: one["neurons"] for model, one in zip(layout.points[curve, rung], summaries, strict=True)}


def read_partners(layout: Layout, models: list[str], path: Callable[[str, str], str]) -> PartnerTables:
    """Read the tables of partners of all pairs of models, the anchor first; `path(a, b)` names that of two models."""
    anchor, *others = models

    def read(a: str, b: str) -> pd.DataFrame:
        return orient(read_table(path(a, b)), swap=layout.pair(a, b) != (a, b))

    outer = [(a, b) for i, a in enumerate(others) for b in others[i + 1 :]]
    return PartnerTables({other: read(anchor, other) for other in others}, {pair: read(*pair) for pair in outer})


def point_tables(point: Point, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The POINT_TABLES, from a point and its point_neurons."""
    planted = point_planted(point)
    return {
        "counts": point_counts(point, table),
        "above_r": point_above_r(point),
        "planted": planted,
        "lists": point_lists(point, planted),
        "decomposition": point_decomposition(point),
        "snapshots": point_snapshots(point, table),
        "layers": point_layers(point, table),
        "depth": point_depth(point, table),
        "diagonal": point_diagonal(point, table),
        "isolation": point_isolation(point),
        "recurrence": point_recurrence(point),
    }
