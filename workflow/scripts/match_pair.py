from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.matches import match_pair

    out = Path(snakemake.output.matches)
    match_pair(jobs.layout(snakemake), snakemake.wildcards.pair, jobs.device(snakemake), out)
