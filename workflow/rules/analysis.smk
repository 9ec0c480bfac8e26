# From matches to Rosetta neurons and tables.


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
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
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
        layout.tables("claims.json"),
    log:
        f"{layout.results}/logs/tables.log",
    benchmark:
        f"{layout.results}/benchmarks/tables/tables.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        study=study.deciding(),
        version=versions.TABLES,
    message:
        "Tables, fits and claims"
    script:
        "../scripts/tables.py"
