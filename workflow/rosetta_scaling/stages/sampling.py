"""Random neurons of a model, the same ones in all its pairs."""

import numpy as np

from rosetta_scaling.numerics.seeds import random_subset
from rosetta_scaling.planning.study_plan import StudyPlan


def sample_neurons(plan: StudyPlan, model: str, size: int | None, *purpose: object) -> np.ndarray:
    """Numbers of at most `size` random neurons of a model, sorted; of all when `size` is None."""
    return random_subset(plan.size(model).neurons, size, plan.study.nulls.seed, model, *purpose)
