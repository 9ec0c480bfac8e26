from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.audit import write_audit_table

    write_audit_table(this.plan, snakemake.output[0])
