from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.nulls import match_nulls
    from rosetta_scaling.store.digests import digest, file_states

    layout, pair = jobs.layout(snakemake), snakemake.wildcards.pair
    content = digest([dict(snakemake.params.items()), file_states(snakemake.input)])
    work_dir = Path(layout.work("nulls", pair)) / content  # not an output: those are deleted before a rerun
    match_nulls(layout, pair, jobs.device(snakemake), Path(snakemake.output[0]).parent, work_dir)
