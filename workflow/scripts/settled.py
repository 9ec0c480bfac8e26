from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.settled import write_settled

    write_settled(this.plan, Path(snakemake.output[0]))
