from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.activations.extract import extract
    from rosetta_scaling.networks.loading import load_model
    from rosetta_scaling.store.tables import read_json, read_table

    layout, device, wildcards = jobs.layout(snakemake), jobs.device(snakemake), snakemake.wildcards
    units = read_table(snakemake.input.units)
    layout.check_scratch(len(units))
    extract(
        wildcards.model,
        load_model(snakemake.params.folder, device, layout.study.networks),
        tokens=read_table(snakemake.input.tokens),
        units=units,
        settings=layout.study.activations,
        out_dir=Path(snakemake.output.summary).parent,
        work_dir=Path(layout.work(wildcards.scope, wildcards.model)),
        device=device,
        weights=[read_json(snakemake.input.checkpoint)["sha256"], layout.study.networks.dtype],
        store=snakemake.params.store,
    )
