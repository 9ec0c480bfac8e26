from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.judge_study import write_judgement

    write_judgement(jobs.layout(snakemake), Path(snakemake.output[0]).parent)
