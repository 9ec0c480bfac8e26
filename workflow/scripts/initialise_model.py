from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.networks.loading import write_untrained

    layout = jobs.layout(snakemake)
    model = layout.keys_of("untrained")[snakemake.wildcards.untrained_key]
    folder, seed = layout.checkpoint(layout.original(model)), layout.study.families[layout.family(model)].seed
    write_untrained(folder, seed, Path(snakemake.output[0]).parent)
