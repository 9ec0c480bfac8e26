from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.filtering import write_pool

    write_pool(this.plan, snakemake.wildcards.task, snakemake.output[0])
