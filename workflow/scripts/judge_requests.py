from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.judge import write_requests

    wildcards, folder = snakemake.wildcards, Path(snakemake.output.requests).parent
    write_requests(this.plan, wildcards.curve, wildcards.rung, this.device, folder)
