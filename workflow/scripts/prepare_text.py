from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.networks import prepare_family_text

    prepare_family_text(this.layout, snakemake.wildcards.key, snakemake.output.tokenizer)
