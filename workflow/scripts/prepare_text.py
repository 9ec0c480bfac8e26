from rosetta_scaling import jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.ladder import prepare_text

    prepare_text(snakemake.input[0], snakemake.params.family, Path(snakemake.output.tokenizer).parent)
