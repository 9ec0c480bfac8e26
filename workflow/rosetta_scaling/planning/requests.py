"""What a study asks of a cluster in all, as `make plan` prints it before anything runs."""

import math

import pandas as pd

from rosetta_scaling.planning import companion_needs, needs
from rosetta_scaling.planning.study_plan import StudyPlan


def requests(plan: StudyPlan) -> pd.DataFrame:
    """What a cluster is asked for, before anything runs: one row per kind of job that grows with the networks.

    Columns: jobs_that, networks_or_pairs (how many; of companions, jobs), largest_gb (memory), longest_hours and gpus
    of what asks for most at its first attempt, gpu_hours (what is expected of all together, not thrice as much as is
    asked for).
    """
    trained = [model for model in plan.layout.models if plan.layout.is_trained_here(model)]
    kinds = {
        "train": [needs.training(plan, model) for model in trained],
        "read networks": [needs.reading(plan, model) for model in plan.layout.models],
        "selectivity": [needs.selectivity(plan, model) for model in plan.layout.models],
        "match, nulls, stability": [needs.matching(plan, pair) for pair in plan.layout.pairs],
        "compare": [needs.comparing(plan, curve) for curve in plan.study.curves],
        "train companions": [
            companion_needs.companion(plan, name, job)
            for name in plan.layout.companion_keys
            for job in plan.layout.settings_of_trained(name).jobs
        ],
    }
    if "filtering" in plan.study.companions.studies:
        tasks, further = plan.study.companions.filtering.tasks, plan.layout.points[plan.layout.trained_further][0]
        kinds["choose text"] = [companion_needs.filtering(plan, point[0]) for point in plan.layout.points.values()]
        kinds["train further"] = [companion_needs.training_further(plan, further) for _ in tasks]
    rows = []
    for kind, asked in kinds.items():
        if asked:
            largest = math.ceil(needs.BASE_MB + max(need.memory_mb for need in asked)) / 1000
            longest = max(map(needs.minutes_asked, asked)) / 60
            hours = sum(need.gpus * need.minutes for need in asked) / 60
            most = max(need.gpus for need in asked)
            rows.append([kind, len(asked), largest, longest, most, hours])
    columns = ["jobs_that", "networks_or_pairs", "largest_gb", "longest_hours", "gpus", "gpu_hours"]
    return pd.DataFrame(rows, columns=columns)


def requests_text(plan: StudyPlan) -> str:
    table = requests(plan)
    return (
        "What a cluster is asked for (planning/needs.py; local runs request nothing):\n"
        + table.to_string(index=False, float_format="{:,.2f}".format)
        + f"\nGPU-hours expected: {table.gpu_hours.sum():,.1f}, GPUs that only hold weights included. "
        "A job that ends for lack of memory or time asks for twice as much, two times; long ones go on where they were."
    )
