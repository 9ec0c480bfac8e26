from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.tables import write_claims

    write_claims(jobs.layout(snakemake).study, Path(snakemake.input[0]).parent)
