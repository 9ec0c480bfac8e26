from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.judge import write_detections

    wildcards, folder = snakemake.wildcards, Path(snakemake.output[0]).parent
    write_detections(jobs.layout(snakemake), wildcards.curve, wildcards.rung, folder)
