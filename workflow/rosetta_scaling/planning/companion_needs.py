"""What jobs of the companion studies ask of a cluster, as needs.py says it of all others."""

import math

from rosetta_scaling.planning import needs
from rosetta_scaling.planning.needs import Need
from rosetta_scaling.planning.study_plan import StudyPlan

SMALL_NETWORKS_RATE = 1e12  # of many small ones side by side on a GPU: bound by its memory; not measured
CHOICE_SECONDS = 4e-6  # to choose from a byte of text, by one arm, once: measured, with room


def companion(plan: StudyPlan, name: str, job: str) -> Need:
    """Many small networks side by side; of the default ones, jobs took a half to all of this on a core."""
    rate = needs.CORE_RATE if plan.study.device == "cpu" else SMALL_NETWORKS_RATE
    return Need(needs.TABLES_MB, plan.layout.settings_of_trained(name).operations(job) / rate / 60, needs.gpus(plan))


def filtering(plan: StudyPlan, model: str) -> Need:
    """The documents of every target are read by a network, one target after the other, and all arms choose."""
    settings = plan.study.companions.filtering
    passes = math.ceil(
        settings.most_bytes / (plan.study.corpus.probe_bytes_per_domain * plan.study.corpus.most_domains)
    )
    read = needs.reading(plan, model, passes)
    counted = settings.most_bytes * settings.choices * CHOICE_SECONDS / 60
    features = 8 * settings.most_bytes / settings.document_bytes * 4 * plan.size(model).neurons
    return Need(
        needs.TABLES_MB + read.memory_mb + features / 1e6, len(settings.tasks) * (read.minutes + counted), read.gpus
    )


def training_further(plan: StudyPlan, model: str) -> Need:
    """A network for every arm, learning rate and seed, on the tokens that were chosen: at least two bytes each."""
    settings, whole = plan.study.companions.filtering, needs.training(plan, model)
    tokens = settings.epochs * settings.pool_bytes * settings.target_share / 2 + settings.test_bytes
    share = tokens / plan.study.ladder.tokens_of(plan.size(model).non_embedding_parameters)
    return Need(whole.memory_mb, settings.networks * share * whole.minutes, whole.gpus)
