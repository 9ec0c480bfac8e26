from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.depth_ladder import write_language

    write_language(this.plan, snakemake.output[0])
