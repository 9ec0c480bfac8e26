from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.companions.depth.language import write_language

    write_language(jobs.layout(snakemake), snakemake.output[0])
