from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.pairs import rescore_group

    rescore_group(jobs.layout(snakemake), snakemake.wildcards.group, jobs.device(snakemake), Path(snakemake.output[0]))
