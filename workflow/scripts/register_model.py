from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.networks.manifests import register

    params = snakemake.params
    register(
        snakemake.wildcards.model,
        params.source,
        params.folder,
        params.modality,
        out_path=snakemake.output[0],
        noise_level=params.get("noise_level"),
    )
