from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.report.figures.catalogue import make_figures

    make_figures(Path(snakemake.input[0]).parent, Path(snakemake.output[0]))
