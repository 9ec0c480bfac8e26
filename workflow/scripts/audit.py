from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.networks.audit.independence import write_audit

    write_audit(jobs.layout(snakemake), snakemake.output[0])
