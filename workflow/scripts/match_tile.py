from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.matches import match_one_tile

    pair, variant, tile = (snakemake.wildcards[name] for name in ("pair", "variant", "tile"))
    match_one_tile(this.plan, pair, variant, int(tile), device=this.device, out=snakemake.output[0])
