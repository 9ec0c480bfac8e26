from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from pathlib import Path

    from rosetta_scaling.stages.matches import MatchFiles, match_pair

    files = MatchFiles(**{name: Path(path) for name, path in snakemake.output.items()})
    match_pair(this.plan, snakemake.wildcards.pair, this.device, files)
