from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.companions import write_companion

    write_companion(jobs.layout(snakemake), snakemake.wildcards.companion)
