from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.filtering import choose_by_neurons

    wildcards = snakemake.wildcards
    point = (wildcards.task, wildcards.curve, wildcards.rung)
    choose_by_neurons(this.plan, point, this.device, out=dict(snakemake.output.items()))
