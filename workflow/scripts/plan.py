from rosetta_scaling import jobs

with jobs.job(snakemake):
    from rosetta_scaling.devices import product_rate
    from rosetta_scaling.plan_table import plan_table

    print(plan_table(jobs.layout(snakemake), product_rate(jobs.device(snakemake))))
