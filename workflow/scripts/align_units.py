from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.units.text import align

    tokenizers = dict(zip(snakemake.params.names, snakemake.input.tokenizers, strict=True))
    align(snakemake.input.documents, tokenizers, jobs.layout(snakemake).study.units, snakemake.output[0])
