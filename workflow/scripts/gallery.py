from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.gallery import write_gallery

    write_gallery(this.plan, snakemake.output[0])
