from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.companions.depth.language import write_language

    write_language(jobs.layout(snakemake), snakemake.output[0])
