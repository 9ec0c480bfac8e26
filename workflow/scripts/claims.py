from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.claims import write_claims

    write_claims(jobs.layout(snakemake).study, Path(snakemake.input[0]).parent)
