from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.fits import write_fits

    write_fits(this.layout, Path(snakemake.output[0]).parent)
