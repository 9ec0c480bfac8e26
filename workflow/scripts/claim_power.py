from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.claims import write_power

    write_power(this.study, snakemake.input[0], snakemake.output[0])
