# Mutual nearest neighbours of two models, and the same where no shared neuron can exist.


rule match_pair:
    input:
        activations_of_pair,
    output:
        matches=f"{layout.results}/matches/{{pair}}/matches.parquet",
        summary=f"{layout.results}/matches/{{pair}}/summary.json",
    log:
        f"{layout.results}/logs/match_pair/{{pair}}.log",
    benchmark:
        f"{layout.results}/benchmarks/match_pair/{{pair}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=study.matching.memory_mb + 500,
        runtime=60,
    params:
        k=max(criterion.k for criterion in study.matching.criteria),
        version=versions.MATCHES,
    message:
        "Match {wildcards.pair}"
    script:
        "../scripts/match_pair.py"


rule untrained_null:
    input:
        untrained_of_pair,
    output:
        f"{layout.results}/nulls/{{pair}}/untrained.parquet",
    log:
        f"{layout.results}/logs/untrained_null/{{pair}}.log",
    benchmark:
        f"{layout.results}/benchmarks/untrained_null/{{pair}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=study.matching.memory_mb + 500,
        runtime=60,
    params:
        k=max(criterion.k for criterion in study.matching.criteria),
        version=versions.MATCHES,
    message:
        "Untrained null of {wildcards.pair}"
    script:
        "../scripts/untrained_null.py"


rule shift_null:
    input:
        activations=activations_of_pair,
        units=units_of_pair,
    output:
        f"{layout.results}/nulls/{{pair}}/shift.parquet",
    log:
        f"{layout.results}/logs/shift_null/{{pair}}.log",
    benchmark:
        f"{layout.results}/benchmarks/shift_null/{{pair}}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 1
    resources:
        mem_mb=study.matching.memory_mb + 500,
        runtime=60,
    params:
        k=max(criterion.k for criterion in study.matching.criteria),
        draws=study.nulls.shift_draws,
        seed=study.nulls.seed,
        version=versions.MATCHES,
    message:
        "Shift null of {wildcards.pair}"
    script:
        "../scripts/shift_null.py"
