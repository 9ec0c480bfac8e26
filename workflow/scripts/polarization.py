from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.polarization import write_polarization

    write_polarization(jobs.layout(snakemake), snakemake.wildcards.curve)
