from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.tables import write_tables

    write_tables(jobs.layout(snakemake), Path(snakemake.output[0]).parent)
