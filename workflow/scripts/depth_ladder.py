from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.depth_ladder import write_language

    write_language(jobs.layout(snakemake), snakemake.output[0])
