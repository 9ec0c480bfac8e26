from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.settled import write_settled

    out = Path(snakemake.output[0])
    write_settled(this.plan, out.parent, out)
