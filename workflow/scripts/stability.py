from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.stability import replicate_pair

    replicate_pair(this.plan, snakemake.wildcards.pair, this.device, Path(snakemake.output[0]).parent)
