from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.schemas.names import POINT_TABLES
    from rosetta_scaling.stages.points import write_rosetta

    wildcards, output = snakemake.wildcards, snakemake.output
    tables = dict(zip(POINT_TABLES, output.tables, strict=True))
    write_rosetta(this.plan, wildcards.curve, wildcards.rung, output.rosetta, tables=tables)
