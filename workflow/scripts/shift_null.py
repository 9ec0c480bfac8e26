from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.pairs import shift_null

    params = snakemake.params
    folders = [Path(summary).parent for summary in snakemake.input.activations]
    shift_null(
        *folders,
        snakemake.input.units,
        draws=params.draws,
        seed=params.seed,
        k=params.k,
        memory_bytes=jobs.layout(snakemake).study.matching.memory_mb * 10**6,
        device=jobs.device(snakemake),
        out=Path(snakemake.output[0]),
    )
