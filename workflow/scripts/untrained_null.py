from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.pairs import untrained_null

    folders = [Path(summary).parent for summary in snakemake.input]
    half = len(folders) // 2  # the draws of the first model, then those of the second
    memory = jobs.layout(snakemake).study.matching.memory_mb * 10**6
    untrained_null(
        folders[:half], folders[half:], snakemake.params.k, memory, jobs.device(snakemake), Path(snakemake.output[0])
    )
