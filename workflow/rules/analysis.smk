# From matches to Rosetta neurons, tables, fits and claims; and the theory that fits are confronted with.


rule rosetta_neurons:
    input:
        pairs_of_point,
    output:
        f"{layout.results}/rosetta/{{curve}}/{{rung}}.parquet",
        [
            f"{layout.results}/rosetta/{{curve}}/{{rung}}.{name}.csv"
            for name in POINT_TABLES
        ],
    log:
        f"{layout.results}/logs/rosetta_neurons/{{curve}}/{{rung}}.log",
    benchmark:
        f"{layout.results}/benchmarks/rosetta_neurons/{{curve}}/{{rung}}.tsv"
    group:
        "curve"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(to_compare),
        runtime=needs.runtime(to_compare),
    params:
        criteria=criteria,
        confidence=study.polarization.confidence,
        version=versions.TABLES,
    message:
        "Rosetta neurons of {wildcards.curve}, {wildcards.rung}"
    script:
        "../scripts/rosetta_neurons.py"


rule tables:
    input:
        rosetta=[layout.rosetta(*point) for point in layout.points],
        matches=[layout.matches(*pair) for pair in layout.pairs.values()],
        points=[
            layout.point_table(name, *point)
            for name in POINT_TABLES
            for point in layout.points
        ],
        polarization=[
            layout.polarization(curve, name)
            for name in POLARIZATION_TABLES
            for curve in study.curves
        ],
        manifests=[layout.checkpoint_manifest(model) for model in layout.models],
        judgements=layout.judgements,
    output:
        *[layout.tables(f"{name}.csv") for name in STUDY_TABLES],
    log:
        f"{layout.results}/logs/tables.log",
    benchmark:
        f"{layout.results}/benchmarks/tables/tables.tsv"
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(needs.Need()),
        runtime=needs.runtime(needs.Need()),
    params:
        study=study.deciding(),
        version=versions.TABLES,
    message:
        "Tables"
    script:
        "../scripts/tables.py"


rule simulate_theory:
    output:
        cached(f"{Path(layout.simulations[0]).parent}/beta_{{beta}}.csv"),
    log:
        f"{layout.results}/logs/simulate_theory/{{beta}}.log",
    benchmark:
        f"{layout.results}/benchmarks/simulate_theory/{{beta}}.tsv"
    group:
        "theory"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(needs.Need()),
        runtime=needs.runtime(needs.Need()),
    message:
        "Simulate networks that obey the theory, beta = {wildcards.beta}"
    script:
        "../scripts/simulate_theory.py"


rule fits:
    input:
        tables=rules.tables.output,
        simulations=layout.simulations,
    output:
        *[layout.tables(f"{name}.csv") for name in FIT_TABLES],
        layout.tables("fits.json"),
    log:
        f"{layout.results}/logs/fits.log",
    benchmark:
        f"{layout.results}/benchmarks/fits/fits.tsv"
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(needs.Need()),
        runtime=needs.runtime(needs.Need()),
    params:
        study=study.deciding(),
        version=versions.FITS,
    message:
        "Fits, their rivals and the theory"
    script:
        "../scripts/fits.py"


rule claims:
    input:
        rules.tables.output,
        rules.fits.output,
    output:
        layout.tables("claims.json"),
    log:
        f"{layout.results}/logs/claims.log",
    benchmark:
        f"{layout.results}/benchmarks/claims/claims.tsv"
    group:
        "tables"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=needs.memory(needs.Need()),
        runtime=needs.runtime(needs.Need()),
    params:
        study=study.deciding(),
        version=versions.CLAIMS,
    message:
        "Claims and verdicts"
    script:
        "../scripts/claims.py"
