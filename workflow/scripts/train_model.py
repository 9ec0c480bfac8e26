from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.networks import train_network

    train_network(this.layout, snakemake.wildcards.key, this.device, snakemake.output.manifest)
