from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.judge_study import write_requests

    layout, wildcards = jobs.layout(snakemake), snakemake.wildcards
    folder = Path(snakemake.output.requests).parent
    write_requests(layout, wildcards.curve, wildcards.rung, jobs.device(snakemake), folder)
