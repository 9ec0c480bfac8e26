from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.matches import WITHOUT_NULLS

    print(f"The pairs are in {jobs.layout(snakemake).results}/matches_without_nulls/: {WITHOUT_NULLS}.")
