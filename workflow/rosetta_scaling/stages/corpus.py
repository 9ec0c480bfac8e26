"""The corpus of a study, and the key that names it."""

from pathlib import Path
from typing import Any

from rosetta_scaling.config.study import Study
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.store.digests import digest


def corpus_key(study: Study) -> str:
    """The cache key of the corpus: it names the files and packages of this machine from which the corpus is made."""
    from rosetta_scaling.corpora.documents import corpus_identity
    from rosetta_scaling.corpora.images import image_corpus_identity

    memo = Path(study.cache_dir) / "digests.json"
    settings: Any = study.corpus  # a namespace of settings
    images: Any = study.images
    if study.modality == "image":
        return digest(image_corpus_identity(settings, images, memo))
    return digest(corpus_identity(settings, memo))


def assemble_corpus(layout: Layout, documents: str) -> None:
    """Write documents.parquet, and manifest.json beside it."""
    from rosetta_scaling.corpora.documents import build_corpus
    from rosetta_scaling.corpora.images import build_image_corpus

    study = layout.study
    settings: Any = study.corpus  # a namespace of settings
    images: Any = study.images
    if study.modality == "image":
        build_image_corpus(settings, images, Path(documents).parent, layout.wheels)
    else:
        build_corpus(settings, Path(documents).parent)
