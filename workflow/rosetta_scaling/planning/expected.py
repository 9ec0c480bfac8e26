"""About how many seconds jobs take on a core of this machine: what a run says before it starts, and while it goes on.

Training and matching grow with the networks, and are counted (costs.py). For all other jobs stand the seconds that they
took in the default study, on a core that does 6e10 floating-point operations a second in products.
"""

import time
from collections.abc import Mapping

import numpy as np

from rosetta_scaling.planning.costs import pair_work, training_work
from rosetta_scaling.planning.rates import Rates
from rosetta_scaling.planning.study_plan import StudyPlan

SECONDS = {
    "corpus": 36,
    "prepare_text": 11,
    "companion_job": 18,
    "companion_tables": 9,
    "companion_report": 8,
    "simulate_theory": 5,
    "selectivity": 4,
    "extract_activations": 1.5,
    "extract_untrained": 1.5,
    "rosetta_neurons": 2,
    "polarization": 2.5,
}
PER_POINT = {"claim_power": 1.2, "fits": 1.8, "figures": 1.7, "fewer_draws": 1.4, "viewer": 0.5}  # of every curve
OTHERS = 0.5  # of rules that are not named above
STARTED = 0.5  # of every job: what Snakemake does about it
STEP = 0.02  # of training: what it takes beside products
SHARES = {"match_pair": 0.05, "nulls": 1.4, "stability": 0.25}  # of the products of a pair; nulls run networks, too
SIDE = 1024  # of the matrices by which the core is measured


def rates_here() -> Rates:
    """How fast a core of this machine multiplies, measured in a tenth of a second.

    By numpy, unlike numerics/devices.py: Snakemake, which asks, would wait for the import of torch.
    """
    a = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
    a @ a  # the first one also starts the library
    began = time.process_time()  # of all threads together
    for _ in range(3):
        a @ a
    rate = 3 * 2 * SIDE**3 / max(1e-9, time.process_time() - began)
    return Rates("a core", products=rate, forward=rate / 2, training=rate / 2)


def expected_seconds(plan: StudyPlan, rates: Rates, rule: str, wildcards: Mapping[str, str]) -> float:
    """Seconds of one job of a rule, also of one that another workflow brings along."""
    return STARTED + _seconds_of_work(plan, rates, rule, wildcards)


def _seconds_of_work(plan: StudyPlan, rates: Rates, rule: str, wildcards: Mapping[str, str]) -> float:
    model, pair = plan.layout.model_keys.get(wildcards.get("key", "")), wildcards.get("pair", "")
    if rule == "train_model" and model:
        work = training_work(plan, model)
        return rates.training_seconds(work) + STEP * work.steps
    if rule in SHARES and pair in plan.layout.pairs:
        return SHARES[rule] * rates.seconds(pair_work(plan, pair)) + OTHERS
    if rule in PER_POINT:
        return PER_POINT[rule] * len(plan.layout.points)
    return SECONDS.get(rule, OTHERS)
