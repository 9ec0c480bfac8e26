from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.continued import write_continued

    write_continued(this.plan, snakemake.output[0])
