from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.filtering import write_filtering

    write_filtering(this.plan, snakemake.output[0])
