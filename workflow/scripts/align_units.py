from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.units import align_units

    align_units(this.layout, snakemake.wildcards.scope, snakemake.output[0])
