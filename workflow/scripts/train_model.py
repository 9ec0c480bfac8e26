from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.networks.training.trainer import TrainingJob, train

    layout, key = jobs.layout(snakemake), snakemake.wildcards.key
    model, study = layout.model_keys[key], layout.study
    job = TrainingJob(
        model,
        study.families[layout.family(model)],
        study.ladder.rungs[layout.rung(model)],
        study.ladder,
        text_dir=Path(snakemake.input[0]).parent,
        out_dir=Path(snakemake.output.manifest).parent,
        # Not an output: Snakemake deletes outputs before a rerun, and training continues from here.
        work_dir=Path(layout.cache) / "work" / key,
    )
    train(job, jobs.device(snakemake))
