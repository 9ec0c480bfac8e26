from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.ladder import train

    train(
        snakemake.params.model,
        **snakemake.params.network,
        settings=snakemake.params.settings,
        text_dir=Path(snakemake.input[0]).parent,
        out_dir=Path(snakemake.output.manifest).parent,
        work_dir=Path(snakemake.params.work),
        device=jobs.device(snakemake),
    )
