from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.schemas.names import POLARIZATION_TABLES
    from rosetta_scaling.stages.polarization import write_polarization

    paths = dict(zip(POLARIZATION_TABLES, snakemake.output, strict=True))
    write_polarization(this.layout, snakemake.wildcards.curve, paths)
