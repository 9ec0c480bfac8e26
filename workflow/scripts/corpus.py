from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.corpus import assemble_corpus

    assemble_corpus(this.layout, snakemake.output.documents)
