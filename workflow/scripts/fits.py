from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.fits import write_fits

    write_fits(jobs.layout(snakemake), Path(snakemake.output[0]).parent)
