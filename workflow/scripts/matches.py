from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.stages.matches import WITHOUT_NULLS

    print(f"The pairs are in {this.layout.results}/matches_without_nulls/: {WITHOUT_NULLS}.")
