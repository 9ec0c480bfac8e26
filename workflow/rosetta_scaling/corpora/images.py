"""The corpus of images: as many of every class, without copies, divided into `train` and `probe`.

Networks are trained on `train`; neurons are measured on `probe`. An image is a document, its class the domain. Which
images are taken is a function of the images alone: neither the order of files nor the machine matters.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from rosetta_scaling import versions
from rosetta_scaling.corpora.documents import fingerprints
from rosetta_scaling.corpora.image_readers import Picture, idx_files, image_files, pictures
from rosetta_scaling.corpora.photographs import photographs, registry
from rosetta_scaling.corpora.pixels import decode
from rosetta_scaling.corpora.readers import check_revision
from rosetta_scaling.schemas.tables.images import IMAGE_DOCUMENTS
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import write_json

COLUMNS = ("doc", "domain", "split", "image", "source", "bytes", "sha256", "objects")
COUNTS = ("originals", "dropped_copy", "left_out_by_cap", "documents", "bytes", "train_documents", "probe_documents")
SOURCE_SETTINGS = ("kind", "path", "revision", "domains", "seed")  # of the section `corpus`
OF_IMAGES = ("size", "objects", "per_class", "probe_per_class", "image_column", "label_column")  # of `images`


def build_image_corpus(
    corpus: SimpleNamespace, images: SimpleNamespace, out_dir: str | Path, wheels: str | Path = "."
) -> dict:
    """Write out_dir/documents.parquet and out_dir/manifest.json, and return the manifest.

    documents.parquet has one row per image, classes interleaved: doc (0, 1, ...), domain (its class), split ("train"
    or "probe"), image (the file), source, bytes, sha256 (of the file), objects (JSON: see procedural.py). Packages that
    photographs are read from are kept in the folder `wheels`.

    Raises StudyError for a file that is no image, and for a class with too few images for its probe.
    """
    counts: dict[str, Counter] = defaultdict(Counter)
    rows = []
    found = photographs(wheels) if corpus.kind == "photographs" else pictures(corpus, images)
    for domain, held in sorted(_sample(found, corpus, images.per_class, counts).items()):
        rows += _split(held, domain, images.probe_per_class, counts[domain])
    if not rows or (missing := sorted(set(corpus.domains or ()) - set(counts))):
        raise StudyError(
            f"corpus: no image of {missing if rows else 'any class'} was found in {corpus.path or corpus.kind}, only "
            f"of {sorted(counts)}; correct corpus.path or corpus.domains."
        )
    table = pd.DataFrame(sorted(rows, key=lambda row: row[0]), columns=COLUMNS)
    table["doc"] = range(len(table))  # from here on the random order is the order of the numbers
    manifest = _manifest(corpus, images, table, counts)
    write_checked_table(Path(out_dir) / "documents.parquet", table, IMAGE_DOCUMENTS)
    write_json(Path(out_dir) / "manifest.json", manifest)
    return manifest


def _sample(
    found: Iterable[Picture], corpus: SimpleNamespace, per_class: int, counts: dict[str, Counter]
) -> dict[str, list[tuple[str, Picture]]]:
    """Per class the images with the smallest hashes, with these hashes: the sample does not depend on the order."""
    held: dict[str, dict[str, Picture]] = defaultdict(dict)
    for picture in found:
        if corpus.domains is not None and picture.domain not in corpus.domains:
            continue
        own, count = held[picture.domain], counts[picture.domain]
        count["originals"] += 1
        order = hashlib.sha256(f"{corpus.seed}\n".encode() + picture.data).hexdigest()
        if order in own:
            count["dropped_copy"] += 1
            continue
        own[order] = picture
        if len(own) > 2 * per_class:
            held[picture.domain] = dict(sorted(own.items())[:per_class])
    return {domain: sorted(own.items())[:per_class] for domain, own in held.items()}


def _split(held: list[tuple[str, Picture]], domain: str, probe: int, count: Counter) -> list[tuple]:
    """Rows of the table in the order of COLUMNS, with the hash in place of the number; the first `probe` are probed."""
    if len(held) < probe:
        raise StudyError(
            f"corpus: class {domain!r} has {len(held)} different images, its probe alone needs {probe}; add images, "
            "leave the class out (corpus.domains) or lower images.probe_per_class."
        )
    rows = []
    for i, (order, picture) in enumerate(held):
        decode(picture.data, picture.source)  # what cannot be read is noticed here
        split = "probe" if i < probe else "train"
        # Among the images of all classes by another hash: the probe would otherwise come first.
        place, size = hashlib.sha256(order.encode()).hexdigest(), len(picture.data)
        sha256 = hashlib.sha256(picture.data).hexdigest()
        rows.append((place, domain, split, picture.data, picture.source, size, sha256, picture.objects))
        count.update({"documents": 1, "bytes": size, f"{split}_documents": 1})
    count["left_out_by_cap"] = count["originals"] - count["dropped_copy"] - count["documents"]
    return rows


def _manifest(
    corpus: SimpleNamespace, images: SimpleNamespace, table: pd.DataFrame, counts: dict[str, Counter]
) -> dict:
    domains = {domain: {name: int(counts[domain][name]) for name in COUNTS} for domain in sorted(counts)}
    return {
        "name": corpus.path or corpus.kind,
        "kind": corpus.kind,
        "sha256": hashlib.sha256("\n".join(sorted(table["sha256"] + table["domain"])).encode()).hexdigest(),
        "version": versions.IMAGE_CORPUS,
        "totals": {name: sum(domain[name] for domain in domains.values()) for name in COUNTS},
        "domains": domains,
        "sources": _sources(corpus),
        "settings": _settings(corpus, images),
    }


def _sources(corpus: SimpleNamespace) -> list[dict]:
    if corpus.kind == "photographs":
        return [{"name": p.wheel.name, "version": p.wheel.version, "licence": p.licence} for p in registry()]
    licence = "none needed: drawn by this project" if corpus.kind == "procedural" else "not recorded"
    return [{"name": corpus.path or corpus.kind, "version": corpus.revision, "licence": licence}]


def _settings(corpus: SimpleNamespace, images: SimpleNamespace) -> dict:
    of_corpus = {name: getattr(corpus, name) for name in SOURCE_SETTINGS}
    return of_corpus | {name: getattr(images, name) for name in OF_IMAGES}


def image_corpus_identity(corpus: SimpleNamespace, images: SimpleNamespace, memo: str | Path | None = None) -> dict:
    """Everything the corpus depends on, without building it; memo as in documents.corpus_identity."""
    identity = {
        "version": versions.IMAGE_CORPUS,
        "settings": _settings(corpus, images),
        "pillow": metadata.version("pillow"),  # decodes and encodes
    }
    if corpus.kind == "huggingface":
        check_revision(corpus)
    if corpus.kind == "photographs":
        return identity | {"photographs": [(p.wheel.sha256, p.images) for p in registry()]}
    if corpus.kind in ("folder", "idx"):
        root = Path(str(corpus.path))
        if not root.exists():
            return identity | {"missing": corpus.path}  # plans can be made before the images are here; the job says so
        if corpus.kind == "idx":
            files = [(path.name, path) for pair in idx_files(root) for path in pair]
        else:
            files = image_files(root)
        identity["files"] = fingerprints(files, memo)
    return identity
