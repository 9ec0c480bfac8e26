from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.depth_ladder import measure_angles

    measure_angles(this.plan, snakemake.wildcards.model, this.device, snakemake.output[0])
