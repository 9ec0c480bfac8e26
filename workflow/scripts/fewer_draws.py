from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.settled import write_fewer_draws

    write_fewer_draws(this.plan, int(snakemake.wildcards.draws), Path(snakemake.output[0]))
