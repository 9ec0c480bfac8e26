from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.companions import train_companion

    wildcards = snakemake.wildcards
    train_companion(this.layout, wildcards.companion, wildcards.job, this.device, snakemake.output[0])
