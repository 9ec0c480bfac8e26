from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.units import index_tokens

    paths = snakemake.input
    index_tokens(paths.documents, paths.units, paths.tokenizer, snakemake.params.settings, snakemake.output[0])
