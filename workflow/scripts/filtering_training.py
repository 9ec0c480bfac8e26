from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.filtering import train_further

    train_further(this.plan, snakemake.wildcards.task, this.device, snakemake.output[0])
