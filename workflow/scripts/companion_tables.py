from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.companions.catalogue import write_tables

    name, layout = snakemake.wildcards.companion, jobs.layout(snakemake)
    write_tables(name, layout.companion_settings(name), layout.companion_jobs(name), snakemake.output[0])
