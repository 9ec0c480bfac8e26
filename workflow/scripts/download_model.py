from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.networks import download_network

    download_network(this.layout, snakemake.wildcards.hub_key, snakemake.output[0])
