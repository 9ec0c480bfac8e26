from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.checkpoints import load_model
    from rosetta_scaling.selectivity import write_selectivity

    model = load_model(snakemake.params.folder, jobs.device(snakemake))
    write_selectivity(model, snakemake.input.statistics, snakemake.params.settings, snakemake.output[0])
