from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.activations import extract
    from rosetta_scaling.checkpoints import untrained_model
    from rosetta_scaling.store import read_table

    device = jobs.device(snakemake)
    tokens, units = read_table(snakemake.input.tokens), read_table(snakemake.input.units)
    for draw, summary in enumerate(snakemake.output.summaries):
        name = f"{snakemake.wildcards.model}.untrained{draw}"
        model = untrained_model(snakemake.params.folder, [snakemake.params.seed, draw, name], device)
        work = Path(f"{snakemake.params.work}.untrained{draw}")
        extract(name, model, tokens, units, snakemake.params.settings, Path(summary).parent, work, device)
