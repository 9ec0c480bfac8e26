from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.fits.theory.simulation import simulate
    from rosetta_scaling.schemas.tables.fits import SIMULATED
    from rosetta_scaling.schemas.tables.schema import write_checked_table

    theory = jobs.layout(snakemake).study.theory
    beta = float(snakemake.wildcards.beta)
    simulated = simulate(beta, theory.sizes, theory.runs, theory.inputs, seed=theory.seed)
    write_checked_table(snakemake.output[0], simulated, SIMULATED)
