from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.fits.theory.simulation import simulate
    from rosetta_scaling.schemas.tables.fits import SIMULATED
    from rosetta_scaling.schemas.tables.schema import write_checked_table

    theory, beta = this.study.theory, float(snakemake.wildcards.beta)
    simulated = simulate(beta, theory.sizes, theory.runs, theory.inputs, seed=theory.seed)
    write_checked_table(snakemake.output[0], simulated, SIMULATED)
