from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.pairs import match_null

    wildcards, out = snakemake.wildcards, Path(snakemake.output[0])
    match_null(jobs.layout(snakemake), wildcards.pair, snakemake.params.null, jobs.device(snakemake), out)
