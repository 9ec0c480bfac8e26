from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.fits.theory.simulation import simulate
    from rosetta_scaling.store.tables import write_table

    theory = jobs.layout(snakemake).study.theory
    beta = float(snakemake.wildcards.beta)
    write_table(snakemake.output[0], simulate(beta, theory.sizes, theory.runs, theory.inputs, seed=theory.seed))
