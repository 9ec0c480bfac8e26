from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.units import index_tokens_of

    wildcards = snakemake.wildcards
    index_tokens_of(this.layout, wildcards.scope, wildcards.tokenizer, snakemake.output[0])
