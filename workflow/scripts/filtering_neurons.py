from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.filtering import choose_by_neurons

    choose_by_neurons(this.plan, snakemake.wildcards.curve, snakemake.wildcards.rung, this.device)
