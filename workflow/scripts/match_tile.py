from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.matches import match_one_tile

    pair, variant, tile = (snakemake.wildcards[name] for name in ("pair", "variant", "tile"))
    match_one_tile(jobs.layout(snakemake), pair, variant, int(tile), jobs.device(snakemake), snakemake.output[0])
