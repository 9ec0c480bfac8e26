from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.report import draw_figures

    draw_figures(this.layout, snakemake.output[0])
