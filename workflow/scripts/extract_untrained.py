from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.activations.extract import extract
    from rosetta_scaling.networks.loading import untrained_model
    from rosetta_scaling.store.tables import read_table

    layout, device, wildcards = jobs.layout(snakemake), jobs.device(snakemake), snakemake.wildcards
    tokens, units = read_table(snakemake.input.tokens), read_table(snakemake.input.units)
    for draw, summary in enumerate(snakemake.output.summaries):
        name = f"{wildcards.model}.untrained{draw}"
        seed = layout.untrained_seed(wildcards.model, draw)
        extract(
            name,
            untrained_model(snakemake.params.folder, seed, device, layout.study.networks),
            tokens,
            units,
            settings=layout.study.activations,
            out_dir=Path(summary).parent,
            work_dir=Path(layout.work(wildcards.scope, name)),
            device=device,
            weights=[seed, layout.study.networks.dtype],
            measure=False,
        )
