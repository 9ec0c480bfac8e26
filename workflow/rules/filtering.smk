# The companion study of data filtering: what one neuron chooses, what others choose, and what networks learn from it.
from rosetta_scaling.stages.filtering import (
    filtering_inputs,
    further_inputs,
    neuron_inputs,
    pool_inputs,
    text_inputs as filtering_text_inputs,
    trained_further,
)

filtering = study.companions.filtering


rule filtering_pool:
    input:
        declared(pool_inputs),
    output:
        layout.filtering_job("{task}", "pool.parquet"),
    log:
        f"{layout.results}/logs/filtering_pool/{{task}}.log",
    group:
        slurm_group("text")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(needs.texts(plan)),
        runtime=needs.runtime(needs.texts(plan)),
    params:
        settings=choosing,
        threshold=study.corpus.near_duplicate_threshold,
        version=versions.FILTERING,
    message:
        "Hide the target {wildcards.task} in a pool"
    script:
        "../scripts/filtering_pool.py"


rule filtering_text:
    input:
        declared(filtering_text_inputs, "task"),
    output:
        scores=layout.filtering_job("{task}", "text", "scores.parquet"),
        chosen=layout.filtering_job("{task}", "text", "chosen.parquet"),
    log:
        f"{layout.results}/logs/filtering_text/{{task}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_filter_text),
        runtime=needs.runtime(to_filter_text),
        gpu=needs.gpu(to_filter_text),
        gpu_mb=needs.gpu_memory(to_filter_text),
    params:
        settings=choosing,
        embedding=study.selectivity.embedding,
        version=versions.FILTERING,
    message:
        "Choose {wildcards.task} by text"
    script:
        "../scripts/filtering_text.py"


rule filtering_neurons:
    input:
        declared(neuron_inputs, "curve", "rung"),
    output:
        [
            layout.filtering_job(
                task, "neurons", "{curve}", "{rung}", f"{name}.parquet"
            )
            for task in filtering.tasks
            for name in ("scores", "chosen", "neurons")
        ],
    log:
        f"{layout.results}/logs/filtering_neurons/{{curve}}/{{rung}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_filter),
        runtime=needs.runtime(to_filter),
        gpu=needs.gpu(to_filter),
        gpu_mb=needs.gpu_memory(to_filter),
    params:
        settings=[filtering.choosing(task) for task in filtering.tasks],
        units=study.units.model_dump(),
        top_contexts=study.activations.top_contexts,
        criterion=study.judged[0],
        version=versions.FILTERING,
    message:
        "Choose by neurons of {wildcards.curve}, {wildcards.rung}"
    script:
        "../scripts/filtering_neurons.py"


rule filtering_training:
    input:
        declared(further_inputs, "task"),
    output:
        layout.filtering_job("{task}", "runs.parquet"),
    log:
        f"{layout.results}/logs/filtering_training/{{task}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_train_further),
        runtime=needs.runtime(to_train_further),
        gpu=needs.gpu(to_train_further),
        gpu_mb=needs.gpu_memory(to_train_further),
    params:
        settings=filtering.model_dump(mode="json", include={*filtering.further, "seed"}),
        version=versions.FILTERING,
    message:
        "Train networks on what was chosen for {wildcards.task}"
    script:
        "../scripts/filtering_training.py"


rule filtering_tables:
    input:
        declared(filtering_inputs),
    output:
        directory(f"{layout.results}/companions/filtering/tables"),
    log:
        f"{layout.results}/logs/filtering_tables.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        settings=filtering.model_dump(mode="json"),
        version=versions.COMPANION_TABLES,
    message:
        "Tables and claims of data filtering"
    script:
        "../scripts/filtering_tables.py"
