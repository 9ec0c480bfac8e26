from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.sketches import sketch_model

    wildcards = snakemake.wildcards
    sketch_model(this.plan, wildcards.scope, wildcards.model, this.device, Path(snakemake.output[0]))
