from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from rosetta_scaling.stages.selectivity import write_selectivity

    layout, wildcards, output = jobs.layout(snakemake), snakemake.wildcards, snakemake.output
    device = jobs.device(snakemake)
    write_selectivity(layout, wildcards.scope, wildcards.model, device, output.neurons, output.tokens)
