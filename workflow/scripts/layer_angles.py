from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    import numpy as np

    from rosetta_scaling.companions.depth.angles import language_angles
    from rosetta_scaling.schemas.tables.depth import LANGUAGE_ANGLES
    from rosetta_scaling.schemas.tables.schema import write_checked_table

    study = jobs.layout(snakemake).study
    table = language_angles(
        Path(snakemake.input.checkpoint).parent,
        np.load(snakemake.input.text),
        study.ladder.context,
        snakemake.params.sequences,
        snakemake.params.seed,
        jobs.device(snakemake),
    )
    write_checked_table(snakemake.output[0], table, LANGUAGE_ANGLES)
