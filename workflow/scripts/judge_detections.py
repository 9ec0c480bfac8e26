from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.judge import write_detections

    wildcards, folder = snakemake.wildcards, Path(snakemake.output[0]).parent
    write_detections(this.layout, wildcards.curve, wildcards.rung, folder)
