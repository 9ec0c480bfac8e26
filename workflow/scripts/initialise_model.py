from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.networks import initialise_network

    initialise_network(this.layout, snakemake.wildcards.untrained_key, snakemake.output[0])
