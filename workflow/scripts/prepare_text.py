from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.networks.training.tokenizers import prepare_text

    layout = jobs.layout(snakemake)
    family = layout.study.families[layout.tokenizer_keys[snakemake.wildcards.key]]
    prepare_text(snakemake.input[0], family, Path(snakemake.output.tokenizer).parent)
