from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.activations import extract
    from rosetta_scaling.checkpoints import load_model
    from rosetta_scaling.store import read_table

    device = jobs.device(snakemake)
    extract(
        snakemake.wildcards.model,
        load_model(snakemake.params.folder, device),
        tokens=read_table(snakemake.input.tokens),
        units=read_table(snakemake.input.units),
        settings=snakemake.params.settings,
        out_dir=Path(snakemake.output.summary).parent,
        work_dir=Path(snakemake.params.work),
        device=device,
    )
