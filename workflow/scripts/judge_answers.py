from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.judge_study import write_answers

    curve, rung, stage = (snakemake.wildcards[name] for name in ("curve", "rung", "stage"))
    write_answers(jobs.layout(snakemake), curve, rung, stage, snakemake.input[0], Path(snakemake.output[0]))
