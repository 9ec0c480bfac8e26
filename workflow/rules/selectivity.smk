# How selective neurons are, and whether Rosetta neurons are more so than the others.


rule selectivity:
    input:
        checkpoint=manifest_of_model,
        tokenizer=tokenizer_of_model,
        units=f"{layout.results}/units/{{scope}}/units.parquet",
        statistics=f"{layout.results}/activations/{{scope}}/{{model}}/statistics",
        contexts=f"{layout.results}/activations/{{scope}}/{{model}}/contexts.parquet",
        embedding=files_of_embedding(),
    output:
        neurons=f"{layout.results}/selectivity/{{scope}}/{{model}}.parquet",
        tokens=f"{layout.results}/selectivity/{{scope}}/{{model}}.tokens.parquet",
    log:
        f"{layout.results}/logs/selectivity/{{scope}}/{{model}}.log",
    benchmark:
        f"{layout.results}/benchmarks/selectivity/{{scope}}/{{model}}.tsv"
    group:
        together("model")
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(to_judge),
        runtime=needs.runtime(to_judge),
        gpu=needs.gpu(to_judge),
    params:
        folder=folder_of_model,
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
        rosetta=rosetta_of_curve,
        neurons=neurons_of_curve,
    output:
        [
            f"{layout.results}/polarization/{{curve}}/{name}.csv"
            for name in POLARIZATION_TABLES
        ],
    log:
        f"{layout.results}/logs/polarization/{{curve}}.log",
    benchmark:
        f"{layout.results}/benchmarks/polarization/{{curve}}.tsv"
    group:
        "curve"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
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
