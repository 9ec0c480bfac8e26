from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.judge import write_requests

    layout, wildcards = jobs.layout(snakemake), snakemake.wildcards
    folder = Path(snakemake.output.requests).parent
    write_requests(layout, wildcards.curve, wildcards.rung, jobs.device(snakemake), folder)
