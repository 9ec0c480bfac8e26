"""What is known of a study while it still runs: networks, and counts with their nulls, of all points up to a rung."""

import os
from pathlib import Path

from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.stages.inputs import Inputs
from rosetta_scaling.stages.tables import Point, counts_table, models_table, summaries


def points_so_far(plan: StudyPlan, rung: str) -> list[Point]:
    """The points of all curves up to a rung, by size."""
    rungs = [*plan.layout.pages_so_far]
    known = rungs[: rungs.index(rung) + 1]
    return sorted((point for point in plan.layout.points if point[1] in known), key=lambda point: known.index(point[1]))


def so_far_inputs(plan: StudyPlan, rung: str) -> Inputs:
    layout, points = plan.layout, points_so_far(plan, rung)
    return {
        "points": [layout.point_table(name, *point) for name in ("counts", "planted") for point in points],
        "summaries": summaries(layout, points),
        "manifests": [layout.checkpoint_manifest(model) for model in layout.models_of_points(points)],
    }


def write_page_so_far(plan: StudyPlan, rung: str) -> None:
    """Write the page of all points up to a rung."""
    from rosetta_scaling.report.so_far import write_so_far

    layout, points, pages = plan.layout, points_so_far(plan, rung), plan.layout.pages_so_far
    page, rungs = Path(pages[rung]), [*pages]
    following = rungs.index(rung) + 1
    links = {"The next size": f"{rungs[following]}.html"} if following < len(rungs) else {}
    write_so_far(
        page,
        study=plan.study.study,
        counts=counts_table(layout, points),
        models=models_table(layout, layout.models_of_points(points)),
        of=len(layout.points),
        links=links | {"The report": os.path.relpath(layout.report, page.parent)},
    )
