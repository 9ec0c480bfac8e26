from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.points import write_rosetta

    layout = jobs.layout(snakemake)
    write_rosetta(layout, snakemake.wildcards.curve, snakemake.wildcards.rung, snakemake.output[0])
