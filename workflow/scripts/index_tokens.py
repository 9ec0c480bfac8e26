from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.units.text import index_tokens

    paths, settings = snakemake.input, jobs.layout(snakemake).study.units
    index_tokens(paths.documents, paths.units, paths.tokenizer, settings, snakemake.output[0])
