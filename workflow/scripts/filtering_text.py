from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.filtering import choose_by_text

    choose_by_text(this.plan, snakemake.wildcards.task, this.device, **dict(snakemake.output.items()))
