from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.matches import match_without_nulls

    out = Path(snakemake.output.matches)
    match_without_nulls(jobs.layout(snakemake), snakemake.wildcards.pair, jobs.device(snakemake), out)
