from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.nulls import match_nulls

    pair, folder = snakemake.wildcards.pair, Path(snakemake.output[0]).parent
    match_nulls(this.plan, pair, this.device, folder, this.work_folder("nulls", pair, content=True))
