from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.audit import write_audit

    write_audit(this.layout, snakemake.wildcards.rung, snakemake.output[0])
