from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.pairs import match_pair

    out = Path(snakemake.output.matches)
    match_pair(jobs.layout(snakemake), snakemake.wildcards.pair, jobs.device(snakemake), out)
