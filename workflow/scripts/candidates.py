from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.sketches import find_candidates_of_pair

    find_candidates_of_pair(
        jobs.layout(snakemake), snakemake.wildcards.pair, jobs.device(snakemake), snakemake.output[0]
    )
