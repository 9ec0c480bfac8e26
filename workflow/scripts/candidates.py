from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.sketches import find_candidates_of_pair

    find_candidates_of_pair(this.plan, snakemake.wildcards.pair, this.device, snakemake.output[0])
