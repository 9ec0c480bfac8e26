from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.networks.manifests import register

    params = snakemake.params
    register(snakemake.wildcards.model, params.source, params.folder, params.modality, snakemake.output[0])
