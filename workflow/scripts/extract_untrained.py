from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.activations.extract import Extraction, extract
    from rosetta_scaling.networks.loading import untrained_model
    from rosetta_scaling.store.tables import read_table

    layout, device, wildcards = jobs.layout(snakemake), jobs.device(snakemake), snakemake.wildcards
    tokens, units = read_table(snakemake.input.tokens), read_table(snakemake.input.units)
    for draw, summary in enumerate(snakemake.output.summaries):
        name = f"{wildcards.model}.untrained{draw}"
        seed = layout.untrained_seed(wildcards.model, draw)
        job = Extraction(
            name,
            layout.study.activations,
            weights=[seed, layout.study.networks.dtype],
            out_dir=Path(summary).parent,
            work_dir=Path(layout.work(wildcards.scope, name)),
            measure=False,
        )
        network = untrained_model(snakemake.params.folder, seed, device, layout.study.networks)
        extract(job, network, tokens, units, device=device)
