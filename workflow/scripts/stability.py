from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.stability import replicate_pair

    folder = Path(snakemake.output[0]).parent
    replicate_pair(jobs.layout(snakemake), snakemake.wildcards.pair, jobs.device(snakemake), folder)
