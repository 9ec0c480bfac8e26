"""Which pairs are small enough for partial optimal transport, and what it takes of a cluster."""

from dataclasses import replace

from rosetta_scaling.config.matching import TRANSPORT_NEURONS
from rosetta_scaling.planning.needs import Need, matching
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.nulls import CENTRAL

MATRIX_BYTES = 40  # of a pair of neurons: sums, r and gains with a copy in float32, gains with a copy in float64
ASSIGNMENT_SECONDS = 2e-10  # times the third power of the neurons: the longest that was measured, 7 s for 4,096


def neurons_of_pair(plan: StudyPlan, pair: str) -> list[int]:
    return [plan.size(model).neurons for model in plan.layout.pairs[pair]]


def is_transported(plan: StudyPlan, pair: str) -> bool:
    """Whether both networks of a pair are small enough."""
    return max(neurons_of_pair(plan, pair)) <= TRANSPORT_NEURONS


def transporting(plan: StudyPlan, pair: str) -> Need:
    """What the matching of a pair takes, which reads at least as much, and an assignment for every draw."""
    (a, b), found = neurons_of_pair(plan, pair), matching(plan, pair)
    work = (1 + plan.study.nulls.draws(CENTRAL)) * ASSIGNMENT_SECONDS * max(a, b) ** 3 / 60
    return replace(found, memory_mb=found.memory_mb + MATRIX_BYTES * a * b / 1e6, minutes=found.minutes + work)
