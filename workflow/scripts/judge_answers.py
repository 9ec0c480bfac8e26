from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.judge import write_answers

    curve, rung, stage = (snakemake.wildcards[name] for name in ("curve", "rung", "stage"))
    write_answers(this.layout, curve, rung, stage, requests=snakemake.input[0], out=Path(snakemake.output[0]))
