from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.judge import write_answers

    curve, rung, stage = (snakemake.wildcards[name] for name in ("curve", "rung", "stage"))
    write_answers(jobs.layout(snakemake), curve, rung, stage, snakemake.input[0], Path(snakemake.output[0]))
