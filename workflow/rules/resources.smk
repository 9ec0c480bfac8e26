# What jobs ask of a cluster, stage by stage: networks and pairs by the wildcards of a rule. No rules here.
#
# On one machine nobody asks: the local profile sets no limits, and groups are of no account there.
from rosetta_scaling.planning import needs

quick = needs.is_quick(layout)


def together(name):
    """The group of a rule: jobs of one model, or of one pair, share a job of the cluster when all of them are short."""
    return name if quick else None


def to_train(wildcards):
    return needs.training(layout, layout.model_keys[wildcards.key])


def to_read(wildcards):
    return needs.reading(layout, wildcards.model)


def to_read_untrained(wildcards):
    return needs.reading(layout, wildcards.model, study.nulls.untrained_draws)


def to_judge(wildcards):
    return needs.judging(layout, wildcards.model)


def to_register(wildcards):
    return needs.copying(layout, wildcards.model)


def to_initialise(wildcards):
    return needs.copying(layout, layout.keys_of("untrained")[wildcards.untrained_key])


def to_tile(wildcards):
    return needs.tiling(layout, wildcards.pair)


def to_match(wildcards):
    return needs.matching(layout, wildcards.pair)


def to_sketch(wildcards):
    return needs.sketching(layout, wildcards.model)


def to_propose(wildcards):
    return needs.proposing(layout, wildcards.pair)


def to_rescore(wildcards):
    return needs.rescoring(layout, wildcards.group)


def to_compare(wildcards):
    return needs.comparing(layout, wildcards.curve)


def to_do_companion_job(wildcards):
    return needs.companion(layout, wildcards.companion, wildcards.job)
