from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.claims import write_claims

    write_claims(this.study, Path(snakemake.output[0]).parent)
