# Spans of text that all tokenizers of a scope can be compared on.
from rosetta_scaling.stages.units import align_inputs, index_inputs


rule align_units:
    input:
        declared(align_inputs, "scope"),
    output:
        f"{layout.results}/units/{{scope}}/units.parquet",
    log:
        f"{layout.results}/logs/align_units/{{scope}}.log",
    priority: 10**8
    group:
        slurm_group("text")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(needs.texts(plan)),
        runtime=needs.runtime(needs.texts(plan)),
    params:
        settings=study.units_settings,
        version=versions.UNITS,
        names=lambda wildcards: list(layout.tokenizer_files(wildcards.scope)),
    message:
        "Align units of {wildcards.scope}"
    script:
        "../scripts/align_units.py"


rule index_tokens:
    input:
        declared(index_inputs, "scope", "tokenizer"),
    output:
        f"{layout.results}/units/{{scope}}/tokens-{{tokenizer}}.parquet",
    log:
        f"{layout.results}/logs/index_tokens/{{scope}}/{{tokenizer}}.log",
    priority: 10**8
    group:
        slurm_group("text")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(needs.texts(plan)),
        runtime=needs.runtime(needs.texts(plan)),
    params:
        settings=study.units_settings,
        version=versions.UNITS,
    message:
        "Find the unit of every token of {wildcards.tokenizer}"
    script:
        "../scripts/index_tokens.py"
