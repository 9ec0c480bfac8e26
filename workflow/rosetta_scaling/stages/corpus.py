"""The corpus of a study, and the key that names it."""

from pathlib import Path
from typing import Any

from rosetta_scaling.config.study import Study
from rosetta_scaling.store.digests import digest


def corpus_key(study: Study) -> str:
    """The cache key of the corpus: it names the files and packages of this machine from which the corpus is made."""
    from rosetta_scaling.corpora.documents import corpus_identity

    settings: Any = study.corpus  # a namespace of settings
    return digest(corpus_identity(settings, Path(study.cache_dir) / "digests.json"))


def assemble_corpus(study: Study, documents: str) -> None:
    """Write documents.parquet, and manifest.json beside it."""
    from rosetta_scaling.corpora.documents import build_corpus

    settings: Any = study.corpus  # a namespace of settings
    build_corpus(settings, Path(documents).parent)
