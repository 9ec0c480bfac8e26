from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.networks.fetch.hub import download

    layout, key = jobs.layout(snakemake), snakemake.wildcards.hub_key
    repository, revision = layout.named(layout.keys_of("hub")[key]).split("@")
    download(repository, revision, Path(snakemake.output[0]).parent, Path(layout.cache) / "work" / key)
