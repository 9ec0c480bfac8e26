from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.checkpoints import register_local

    params = snakemake.params
    register_local(snakemake.wildcards.model, params.folder, params.modality, snakemake.output[0])
