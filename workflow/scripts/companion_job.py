from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.companions.catalogue import write_job

    name = snakemake.wildcards.companion
    settings = jobs.layout(snakemake).companion_settings(name)
    folder = Path(snakemake.output[0]).parent
    write_job(name, settings, snakemake.wildcards.job, jobs.device(snakemake), folder)
