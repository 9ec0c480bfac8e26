from rosetta_scaling.jobs import job as jobs

with jobs.job(snakemake):
    from pathlib import Path

    from rosetta_scaling.corpora.documents import build_corpus

    build_corpus(jobs.layout(snakemake).study.corpus, Path(snakemake.output.documents).parent)
