# How selective neurons are, and whether Rosetta neurons are more so than the others.
from rosetta_scaling.schemas.names import POLARIZATION_TABLES
from rosetta_scaling.stages.polarization import polarization_inputs
from rosetta_scaling.stages.selectivity import selectivity_inputs


rule selectivity:
    input:
        declared(selectivity_inputs, "scope", "model"),
    output:
        neurons=f"{layout.results}/selectivity/{{scope}}/{{model}}.parquet",
        tokens=f"{layout.results}/selectivity/{{scope}}/{{model}}.tokens.parquet",
    log:
        f"{layout.results}/logs/selectivity/{{scope}}/{{model}}.log",
    group:
        slurm_group("model")
    conda:
        "../../envs/torch.yaml"
    resources:
        mem_mb=needs.memory(to_measure_selectivity),
        runtime=needs.runtime(to_measure_selectivity),
        gpu=needs.gpu(to_measure_selectivity),
        gpu_mb=needs.gpu_memory(to_measure_selectivity),
    params:
        folder=lambda wildcards: layout.checkpoint(wildcards.model),
        settings=study.deciding()["selectivity"],
        top_contexts=study.activations.top_contexts,
        unit_texts=study.activations.unit_texts,
        seed=study.nulls.seed,
        version=versions.SELECTIVITY,
    message:
        "Selectivity of the neurons of {wildcards.model}"
    script:
        "../scripts/selectivity.py"


rule polarization:
    input:
        declared(polarization_inputs, "curve"),
    output:
        [
            f"{layout.results}/polarization/{{curve}}/{name}.csv"
            for name in POLARIZATION_TABLES
        ],
    log:
        f"{layout.results}/logs/polarization/{{curve}}.log",
    group:
        "curve"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=needs.memory(to_compare),
        runtime=needs.runtime(to_compare),
    params:
        sets=study.judged_sets,
        settings=study.polarization.model_dump(),
        seed=study.nulls.seed,
        version=versions.POLARIZATION,
    message:
        "Polarization of {wildcards.curve}"
    script:
        "../scripts/polarization.py"
