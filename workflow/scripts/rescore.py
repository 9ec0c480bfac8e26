from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.sketches import rescore_group

    group, out = snakemake.wildcards.group, Path(snakemake.output[0])
    rescore_group(this.plan, group, this.device, out, this.work_folder("rescored", group, content=True))
