from rosetta_scaling.jobs.job import job

with job(snakemake) as this:
    from rosetta_scaling.numerics.devices import product_rate
    from rosetta_scaling.planning.requests import requests_text
    from rosetta_scaling.planning.tables import plan_table

    print(plan_table(this.plan, product_rate(this.device)), requests_text(this.plan), sep="\n\n")
