from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.matches import match_without_nulls

    out = snakemake.output
    match_without_nulls(this.plan, snakemake.wildcards.pair, this.device, out.matches, summary=out.summary)
