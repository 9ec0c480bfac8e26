from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.selectivity.polarization.tables import write_polarization

    write_polarization(jobs.layout(snakemake), snakemake.wildcards.curve)
