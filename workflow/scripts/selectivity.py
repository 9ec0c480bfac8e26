from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.selectivity import write_selectivity

    scope, model, output = snakemake.wildcards.scope, snakemake.wildcards.model, snakemake.output
    write_selectivity(this.plan, scope, model, this.device, output.neurons, out_tokens=output.tokens)
