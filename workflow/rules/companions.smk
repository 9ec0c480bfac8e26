# Companion studies: small networks trained here, each study with tables, figures, claims and a page of its own. They
# need nothing of the main study, but for the depth ladder: its language models of equal width and different depth.
from rosetta_scaling.stages.companions import companion_inputs, companion_page_inputs
from rosetta_scaling.stages.depth_ladder import (
    angle_inputs,
    ladder_inputs,
    language_settings,
)


rule companion_job:
    output:
        cached(
            f"{layout.cache}/companions/{{companion}}/{{companion_key}}/{{job}}/manifest.json"
        ),
    log:
        f"{layout.results}/logs/companion_job/{{companion}}/{{companion_key}}/{{job}}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_do_companion_job),
        runtime=needs.runtime(to_do_companion_job),
        gpu=needs.gpu(to_do_companion_job),
        gpu_mb=needs.gpu_memory(to_do_companion_job),
    message:
        "Companion study {wildcards.companion}: {wildcards.job}"
    script:
        "../scripts/companion_job.py"


rule companion_tables:
    input:
        declared(companion_inputs, "companion"),
    output:
        directory(f"{layout.results}/companions/{{companion}}/tables"),
    log:
        f"{layout.results}/logs/companion_tables/{{companion}}.log",
    wildcard_constraints:
        companion=any_of(layout.companion_keys),
    group:
        "tables"
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.Need(minutes=5)),
    params:
        settings=companion_settings,
        version=versions.COMPANION_TABLES,
    message:
        "Tables and claims of the companion study {wildcards.companion}"
    script:
        "../scripts/companion_tables.py"


rule layer_angles:
    input:
        declared(angle_inputs, "model"),
    output:
        f"{layout.results}/companions/depth/angles/{{model}}.parquet",
    log:
        f"{layout.results}/logs/layer_angles/{{model}}.log",
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
        sequences=study.companions.depth.language_sequences,
        seed=study.companions.depth.seed,
        version=versions.COMPANION_TABLES,
    message:
        "Angles along the layers of {wildcards.model}"
    script:
        "../scripts/layer_angles.py"


rule depth_ladder:
    input:
        declared(ladder_inputs),
    output:
        directory(f"{layout.results}/companions/depth/language"),
    log:
        f"{layout.results}/logs/depth_ladder.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        settings=language_settings(plan),
        version=versions.COMPANION_TABLES,
    message:
        "Language models of equal width and different depth"
    script:
        "../scripts/depth_ladder.py"


rule companion_report:
    input:
        declared(companion_page_inputs, "companion"),
    output:
        figures=directory(f"{layout.results}/companions/{{companion}}/figures"),
        provenance=f"{layout.results}/companions/{{companion}}/provenance.json",
        page=f"{layout.results}/report/{{companion}}.html",
    log:
        f"{layout.results}/logs/companion_report/{{companion}}.log",
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(needs.SMALL),
        runtime=needs.runtime(needs.SMALL),
    params:
        settings=companion_settings,
    message:
        "Figures and page of the companion study {wildcards.companion}"
    script:
        "../scripts/companion_report.py"
