from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.tables import write_rosetta

    layout = jobs.layout(snakemake)
    write_rosetta(layout, snakemake.wildcards.curve, snakemake.wildcards.rung, snakemake.output[0])
