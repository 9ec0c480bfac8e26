from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.stages.sketches import rescore_group
    from rosetta_scaling.store.digests import digest, file_states

    layout, group = jobs.layout(snakemake), snakemake.wildcards.group
    content = digest([dict(snakemake.params.items()), file_states(snakemake.input)])
    work_dir = Path(layout.work("rescored", group)) / content  # not an output: those are deleted before a rerun
    rescore_group(layout, group, jobs.device(snakemake), Path(snakemake.output[0]), work_dir)
