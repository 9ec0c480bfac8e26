from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.polarization_tables import write_polarization

    write_polarization(jobs.layout(snakemake), snakemake.wildcards.curve)
