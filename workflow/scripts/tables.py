from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.tables import write_tables

    write_tables(jobs.layout(snakemake), Path(snakemake.output[0]).parent)
