from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.numerics.devices import product_rate
    from rosetta_scaling.planning.needs import requests_text
    from rosetta_scaling.planning.tables import plan_table

    layout = jobs.layout(snakemake)
    print(plan_table(layout, product_rate(jobs.device(snakemake))), requests_text(layout), sep="\n\n")
