from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.activations.extract import Extraction, extract
    from rosetta_scaling.networks.loading import load_model
    from rosetta_scaling.networks.manifests import describe
    from rosetta_scaling.networks.model_sizes import require_planned
    from rosetta_scaling.store.tables import read_json, read_table

    layout, device, wildcards = jobs.layout(snakemake), jobs.device(snakemake), snakemake.wildcards
    units = read_table(snakemake.input.units)
    layout.check_scratch(len(units))
    model = load_model(snakemake.params.folder, device, layout.study.networks)
    require_planned(wildcards.model, sum(describe(model)["neurons"]), layout.size(wildcards.model).neurons)
    job = Extraction(
        wildcards.model,
        layout.study.activations,
        weights=[read_json(snakemake.input.checkpoint)["sha256"], layout.study.networks.dtype],
        out_dir=Path(snakemake.output.summary).parent,
        work_dir=Path(layout.work(wildcards.scope, wildcards.model)),
        store=snakemake.params.store,
    )
    extract(job, model, read_table(snakemake.input.tokens), units, device=device)
