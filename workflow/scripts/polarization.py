from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.polarization import write_polarization

    write_polarization(this.layout, snakemake.wildcards.curve)
