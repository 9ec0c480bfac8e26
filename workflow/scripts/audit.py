from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.audit import write_audit

    write_audit(jobs.layout(snakemake), snakemake.output[0])
