from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.fits.theory.simulation import simulate
    from rosetta_scaling.store.tables import write_table

    theory, beta = this.study.theory, float(snakemake.wildcards.beta)
    write_table(snakemake.output[0], simulate(beta, theory.sizes, theory.runs, theory.inputs, seed=theory.seed))
