from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.companion_report import write_companion

    write_companion(jobs.layout(snakemake), snakemake.wildcards.companion)
