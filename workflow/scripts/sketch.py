from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.sketches import sketch_model

    wildcards, out = snakemake.wildcards, Path(snakemake.output[0])
    sketch_model(jobs.layout(snakemake), wildcards.scope, wildcards.model, jobs.device(snakemake), out)
