from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.companions import train_companion

    name, part = snakemake.wildcards.companion, snakemake.wildcards.job
    train_companion(this.layout, name, part, device=this.device, manifest=snakemake.output[0])
