from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.companions import write_companion_tables

    write_companion_tables(this.layout, snakemake.wildcards.companion, snakemake.output[0])
