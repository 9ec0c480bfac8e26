from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.numerics.devices import product_rate
    from rosetta_scaling.plan_table import plan_table
    from rosetta_scaling.resources import requests_text

    layout = jobs.layout(snakemake)
    print(plan_table(layout, product_rate(jobs.device(snakemake))), requests_text(layout), sep="\n\n")
