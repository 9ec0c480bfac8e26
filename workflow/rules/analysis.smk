# From matches to Rosetta neurons and tables.


rule rosetta_neurons:
    input:
        pairs_of_point,
        anchor=anchor_summary,
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
        neurons=neuron_tables(),
        manifests=[layout.checkpoint_manifest(model) for model in layout.models],
    output:
        *[
            layout.tables(f"{name}.csv")
            for name in (
                "counts",
                "decomposition",
                "snapshots",
                "seeds",
                "models",
                "training",
                "layers",
                "polarization",
                "trends",
                "fits",
            )
        ],
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
