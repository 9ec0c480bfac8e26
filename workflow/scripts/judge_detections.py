from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.judge_study import write_detections

    wildcards, folder = snakemake.wildcards, Path(snakemake.output[0]).parent
    write_detections(jobs.layout(snakemake), wildcards.curve, wildcards.rung, folder)
