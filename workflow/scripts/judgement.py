from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.judge import write_judgement

    write_judgement(jobs.layout(snakemake), Path(snakemake.output[0]).parent)
