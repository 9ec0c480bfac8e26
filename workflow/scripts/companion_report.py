from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.companions import write_companion

    files = dict(snakemake.output.items())
    write_companion(this.plan, snakemake.wildcards.companion, **files)
