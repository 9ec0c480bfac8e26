from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.pairs import WITHOUT_NULLS

    print(f"The pairs are in {jobs.layout(snakemake).results}/matches_without_nulls/: {WITHOUT_NULLS}.")
