# What jobs ask of a cluster, stage by stage: networks and pairs by the wildcards of a rule. No rules here.
#
# Local runs request nothing: the local profile sets no limits, and groups are ignored there. Sizes of networks are looked
# up when jobs are planned, not here, so that reading the rules asks no network.


def slurm_group(name):
    """The group of a rule: jobs of one model, or of one pair, share a job of the cluster when all of them are short.

    Not of networks that see: their units depend on all networks, so that no group of one network would be closed.
    """

    def group(wildcards):
        return name if study.modality == "text" and needs.is_quick(plan) else None

    return group


def to_train(wildcards):
    return needs.training(plan, layout.model_keys[wildcards.key])


def size_priority(model):
    """Largest networks first, so that small jobs fill the end of the run; those that are not trained here come last."""
    size = study.ladder.rungs.get(layout.rung(model))
    return size.layers * size.hidden_size**2 if size else 0


def training_priority(wildcards):
    return size_priority(layout.model_keys[wildcards.key])


def reading_priority(wildcards):
    return size_priority(wildcards.model)


def null_priority(wildcards):
    return size_priority(layout.pairs[wildcards.pair][0])


def to_audit(wildcards):
    return needs.auditing(plan, wildcards.rung)


def to_read(wildcards):
    return needs.reading(plan, wildcards.model)


def to_read_untrained(wildcards):
    return needs.reading(plan, wildcards.model, study.nulls.untrained_draws)


def to_measure_selectivity(wildcards):
    return needs.selectivity(plan, wildcards.model)


def to_register(wildcards):
    return needs.copying(plan, wildcards.model)


def to_initialise(wildcards):
    return needs.copying(plan, layout.keys_of("untrained")[wildcards.untrained_key])


def to_tile(wildcards):
    return needs.tiling(plan, wildcards.pair)


def to_match(wildcards):
    return needs.matching(plan, wildcards.pair)


def to_transport(wildcards):
    return transporting(plan, wildcards.pair)


def to_sketch(wildcards):
    return needs.sketching(plan, wildcards.model)


def to_propose(wildcards):
    return needs.proposing(plan, wildcards.pair)


def to_rescore(wildcards):
    return needs.rescoring(plan, wildcards.group)


def to_compare(wildcards):
    return needs.comparing(plan, wildcards.curve)


def to_follow(wildcards):
    return max(
        (needs.comparing(plan, curve) for curve in study.curves),
        key=lambda need: need.memory_mb,
    )


def to_judge_again(wildcards):
    return needs.judging_again(plan)


def to_view(wildcards):
    return needs.viewing(plan)


def choosing(wildcards):
    """The settings on which the choices of data filtering for a target depend."""
    return study.companions.filtering.choosing(wildcards.task)


def to_filter(wildcards):
    model = layout.points[wildcards.curve, wildcards.rung][0]
    return companion_needs.filtering(plan, model)


def to_filter_text(wildcards):
    return companion_needs.filtering(plan, trained_further(plan))


def to_train_further(wildcards):
    return companion_needs.training_further(plan, trained_further(plan))


def to_do_companion_job(wildcards):
    return companion_needs.companion(plan, wildcards.companion, wildcards.job)
