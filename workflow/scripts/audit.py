from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.networks.audit.independence import write_audit

    write_audit(jobs.layout(snakemake), snakemake.output[0])
