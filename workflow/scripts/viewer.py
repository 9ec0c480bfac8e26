from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.viewer import write_viewer

    write_viewer(this.plan, this.device, snakemake.output[0])
