from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.transport import write_transport

    write_transport(this.plan, snakemake.output[0])
