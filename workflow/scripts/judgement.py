from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.judge import write_judgement

    write_judgement(this.layout, Path(snakemake.output[0]).parent)
