from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.tables import write_tables

    write_tables(this.layout, Path(snakemake.output[0]).parent)
