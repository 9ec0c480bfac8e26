from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.pairs import match_nulls

    folder = Path(snakemake.output[0]).parent
    match_nulls(jobs.layout(snakemake), snakemake.wildcards.pair, jobs.device(snakemake), folder)
