from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.transport import transport_pair

    transport_pair(this.plan, snakemake.wildcards.pair, this.device, snakemake.output[0])
