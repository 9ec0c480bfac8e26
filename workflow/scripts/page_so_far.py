from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.so_far import write_page_so_far

    write_page_so_far(this.plan, snakemake.wildcards.rung)
