from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.pairs import match_pair

    folders = [Path(summary).parent for summary in snakemake.input]
    memory = jobs.layout(snakemake).study.matching.memory_mb * 10**6
    match_pair(*folders, snakemake.params.k, memory, jobs.device(snakemake), Path(snakemake.output.matches))
