# One forward pass per network over the probe text; and over fresh initialisations of it, for the untrained null.
from rosetta_scaling.stages.activations import extract_inputs


rule extract_activations:
    input:
        declared(extract_inputs, "scope", "model"),
    output:
        layers=directory(f"{layout.results}/activations/{{scope}}/{{model}}/layers"),
        statistics=directory(
            f"{layout.results}/activations/{{scope}}/{{model}}/statistics"
        ),
        contexts=f"{layout.results}/activations/{{scope}}/{{model}}/contexts.parquet",
        summary=f"{layout.results}/activations/{{scope}}/{{model}}/summary.json",
    log:
        f"{layout.results}/logs/extract_activations/{{scope}}/{{model}}.log",
    priority: reading_priority
    group:
        slurm_group("model")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_read),
        runtime=needs.runtime(to_read),
        gpu=needs.gpu(to_read),
        gpu_mb=needs.gpu_memory(to_read),
    params:
        folder=lambda wildcards: layout.checkpoint(wildcards.model),
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        top_contexts=study.activations.top_contexts,
        unit_texts=study.activations.unit_texts,
        store=lambda wildcards: plan.stores_activations,
        version=versions.ACTIVATIONS,
    message:
        "Read the neurons of {wildcards.model}"
    script:
        "../scripts/extract_activations.py"


rule extract_untrained:
    input:
        declared(extract_inputs, "scope", "model"),
    output:
        layers=[
            directory(
                f"{layout.results}/activations/{{scope}}/{{model}}.untrained{draw}/layers"
            )
            for draw in layout.untrained_draws
        ],
        summaries=[
            f"{layout.results}/activations/{{scope}}/{{model}}.untrained{draw}/summary.json"
            for draw in layout.untrained_draws
        ],
    log:
        f"{layout.results}/logs/extract_untrained/{{scope}}/{{model}}.log",
    priority: reading_priority
    group:
        slurm_group("model")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_read_untrained),
        runtime=needs.runtime(to_read_untrained),
        gpu=needs.gpu(to_read_untrained),
        gpu_mb=needs.gpu_memory(to_read_untrained),
    params:
        folder=lambda wildcards: layout.checkpoint(wildcards.model),
        dtype=study.activations.dtype,
        network_dtype=study.networks.dtype,
        seed=study.nulls.seed,
        version=versions.ACTIVATIONS,
    message:
        "Read the neurons of {wildcards.model}, freshly initialised"
    script:
        "../scripts/extract_untrained.py"
