from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.points import write_rosetta

    wildcards = snakemake.wildcards
    write_rosetta(this.plan, wildcards.curve, wildcards.rung, snakemake.output[0])
