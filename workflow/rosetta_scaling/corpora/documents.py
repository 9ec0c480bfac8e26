"""The corpus: texts of several domains, without copies, cut to size and divided into `train` and `probe`.

Networks are trained on `train`; neurons are measured on `probe`. Both are a function of the texts alone: neither the
order of files nor the machine matters.
"""

import hashlib
import json
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from rosetta_scaling import versions
from rosetta_scaling.corpora import embedded as corpus_packages
from rosetta_scaling.corpora import readers as corpus_sources
from rosetta_scaling.corpora.lines import unreadable
from rosetta_scaling.corpora.near_duplicates import NearDuplicates
from rosetta_scaling.corpora.pieces import clean, cut
from rosetta_scaling.corpora.splits import choose_probe, is_needed_whole, shorten, sizes_of
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.sources import DOCUMENTS
from rosetta_scaling.store import digests
from rosetta_scaling.store import tables as store
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining, reason_of

SOURCE_SETTINGS = ("kind", "path", "revision", "text_column", "domain_column", "domains", "seed")
SIZE_SETTINGS = ("bytes_per_domain", "probe_bytes_per_domain", "min_document_bytes", "max_document_bytes")
SETTINGS = (*SOURCE_SETTINGS, *SIZE_SETTINGS, "near_duplicate_threshold")
DROPPED = ("skipped_undecodable", "dropped_empty", "dropped_short", "dropped_near_duplicate", "left_out_by_cap")
KEPT = ("documents", "bytes", "train_documents", "train_bytes", "probe_documents", "probe_bytes")
COLUMNS = ("doc", "domain", "split", "text", "source", "bytes", "sha256")
COUNTS = ("originals", *DROPPED, *KEPT)
RESERVE = 3  # candidates kept per domain, in caps: room for copies and short pieces, and a bound on memory


def build_corpus(settings: SimpleNamespace, out_dir: str | Path) -> dict:
    """Write out_dir/documents.parquet and out_dir/manifest.json, and return the manifest.

    documents.parquet has one row per document, domains interleaved: doc (0, 1, ...), domain, split ("train" or
    "probe"), text, source, bytes (UTF-8), sha256 (of the text). Pieces cut from one original are in one split.
    Counts in the manifest are of documents after cutting; `originals`, `skipped_undecodable` and what the cap leaves
    out uncut are whole texts.

    Raises StudyError when a domain ends up empty or is too small for its probe.
    """
    counts: dict[str, Counter] = defaultdict(Counter)
    candidates = _sample(read_originals(settings), settings, counts)
    _check_domains(settings, set(counts))
    copies = NearDuplicates(settings.near_duplicate_threshold)
    documents = []
    for domain in sorted(counts):
        kept = _keep_until_cap(candidates.get(domain, []), settings, copies, counts[domain])
        documents += _split(kept, domain, settings, counts[domain])
    table = pd.DataFrame(sorted(documents), columns=COLUMNS)
    table["doc"] = range(len(table))  # from here on the random order is the order of the numbers
    manifest = _manifest(settings, table, counts)
    write_checked_table(Path(out_dir) / "documents.parquet", table, DOCUMENTS)
    store.write_json(Path(out_dir) / "manifest.json", manifest)
    return manifest


def read_originals(settings: SimpleNamespace) -> Iterator[corpus_sources.Original]:
    """All original documents of the configured source."""
    with explaining(
        lambda error: (
            f"corpus: {settings.path or settings.kind} cannot be read ({reason_of(error)}); correct "
            "corpus.path, or fetch that text again"
        )
    ):
        yield from _originals(settings)


def _originals(settings: SimpleNamespace) -> Iterator[corpus_sources.Original]:
    match settings.kind:
        case "embedded":
            return corpus_packages.embedded_originals(settings.domains)
        case "folder":
            return corpus_sources.folder_originals(settings)
        case "jsonl":
            return corpus_sources.jsonl_originals(settings)
        case "huggingface":
            return corpus_sources.huggingface_originals(settings)
    raise StudyError(f"corpus: kind is {settings.kind!r}; choose embedded, folder, jsonl or huggingface.")


def _check_domains(settings: SimpleNamespace, found: set[str]) -> None:
    expected = settings.domains
    if expected is None and settings.kind == "embedded":
        expected = corpus_packages.EMBEDDED_DOMAINS
    if not found or (missing := sorted(set(expected or ()) - found)):
        wanted = missing if found else "any domain"
        raise StudyError(
            f"corpus: no document of {wanted} was found in {settings.path or settings.kind}, only of {sorted(found)}; "
            f"correct corpus.path or corpus.domains, or reinstall the packages the corpus is read from."
        )


def _sample(originals: Iterable, settings: SimpleNamespace, counts: dict[str, Counter]) -> dict[str, list]:
    """Per domain the originals with the smallest hashes, RESERVE times the cap in bytes: [(hash, source, text)].

    A source of any size is read once with bounded memory, and the sample does not depend on the order of reading.
    """
    limit = RESERVE * settings.bytes_per_domain
    held: dict[str, list] = defaultdict(list)
    size: Counter = Counter()
    for domain, source, raw in originals:
        if settings.domains is not None and domain not in settings.domains:
            continue
        _require_unicode(domain, source)
        counts[domain]["originals"] += 1
        try:
            text = clean(raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw)
            data = text.encode()
        except UnicodeError:
            counts[domain]["skipped_undecodable"] += 1
            continue
        origin = hashlib.sha256(f"{settings.seed}\n{domain}\n".encode() + data).hexdigest()
        held[domain].append((origin, source, text))
        size[domain] += len(data)
        if size[domain] > 2 * limit:
            held[domain], size[domain] = _smallest(held[domain], limit, counts[domain])
    return {domain: _smallest(rows, limit, counts[domain])[0] for domain, rows in held.items()}


def _require_unicode(*names: str) -> None:
    """Refuse names that no table can hold."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise StudyError(
                f"corpus: the name {name!r} holds half a surrogate pair or is a file name in another encoding; names "
                "in Unicode were expected: rename the file or folder, or correct the record."
            ) from error


def _smallest(rows: list, limit: int, count: Counter) -> tuple[list, int]:
    """Rows in the order of their hashes until `limit` bytes are reached, and their bytes.

    Where the first alone is that large, others are taken beside it: a domain of one document cannot be divided.
    """
    rows, total = sorted(rows), 0
    for i, (_, _, text) in enumerate(rows):
        if total >= limit:
            count["left_out_by_cap"] += len(rows) - i
            return rows[:i], total
        size = len(text.encode())
        total += 0 if i == 0 and size >= limit else size
    return rows, total


def _keep_until_cap(rows: list, settings: SimpleNamespace, copies: NearDuplicates, count: Counter) -> dict[str, list]:
    """Cut originals into documents and keep the good ones up to the cap: {origin: [(source, text, bytes), ...]}."""
    kept: dict[str, list] = {}
    beyond: list[tuple] = []
    total = 0
    for origin, source, text in rows:
        for piece in cut(text, settings.max_document_bytes):
            size = len(piece.encode())
            if not piece.strip():
                count["dropped_empty"] += 1
            elif size < settings.min_document_bytes:
                count["dropped_short"] += 1
            elif total + size > settings.bytes_per_domain:
                beyond.append((origin, source, piece, size))
            elif copies.is_copy(piece):
                count["dropped_near_duplicate"] += 1
            else:
                kept.setdefault(origin, []).append((source, piece, size))
                total += size
    count["left_out_by_cap"] += len(beyond)
    if is_needed_whole(sizes_of(kept), settings.probe_bytes_per_domain):
        _make_room(kept, beyond, settings, copies, count=count)
    return kept


def _make_room(kept, beyond, settings: SimpleNamespace, copies: NearDuplicates, *, count: Counter) -> None:
    """Give half of the cap to the originals that the largest one has left no room for."""
    sizes = sizes_of(kept)
    largest = max(sizes, key=lambda origin: (sizes[origin], origin))
    others = [row for row in beyond if row[0] != largest]
    while others and len(kept[largest]) > 1 and sizes[largest] > settings.bytes_per_domain / 2:
        sizes[largest] -= kept[largest].pop()[2]
        count["left_out_by_cap"] += 1
    room = settings.bytes_per_domain - sum(sizes.values())
    for origin, source, piece, size in others:
        if size <= room and not copies.is_copy(piece):
            kept.setdefault(origin, []).append((source, piece, size))
            count["left_out_by_cap"] -= 1
            room -= size


def _split(kept: dict[str, list], domain: str, settings: SimpleNamespace, count: Counter) -> list[tuple]:
    """Rows of the table in the order of COLUMNS, `probe` or `train` by origin."""
    sizes, target = sizes_of(kept), settings.probe_bytes_per_domain
    probe = choose_probe(sizes, target, domain)
    if is_needed_whole(sizes, target):
        shorten(kept, probe, target, count)
    rows = []
    for origin, pieces in kept.items():
        split = "probe" if origin in probe else "train"
        for source, text, size in pieces:
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            order = hashlib.sha256(f"{settings.seed}\n{sha256}".encode()).hexdigest()
            rows.append((order, domain, split, text, source, size, sha256))
            count.update({"documents": 1, "bytes": size, f"{split}_documents": 1, f"{split}_bytes": size})
    return rows


def _manifest(settings: SimpleNamespace, table: pd.DataFrame, counts: dict[str, Counter]) -> dict:
    content = hashlib.sha256("\n".join(sorted(table["sha256"] + table["domain"])).encode()).hexdigest()
    domains = {domain: {name: int(counts[domain][name]) for name in COUNTS} for domain in sorted(counts)}
    return {
        "name": settings.path or settings.kind,
        "kind": settings.kind,
        "sha256": content,
        "version": versions.CORPUS,
        "totals": {name: sum(domain[name] for domain in domains.values()) for name in COUNTS},
        "domains": domains,
        "sources": _sources(settings),
        "settings": {name: getattr(settings, name) for name in SETTINGS},
        "python": platform.python_version(),
    }


def _sources(settings: SimpleNamespace) -> list[dict]:
    """What the texts were read from, with version and licence where they are known."""
    if settings.kind != "embedded":
        return [{"name": settings.path, "version": settings.revision, "licence": "not recorded"}]
    return [
        {"domain": p.domain, "name": p.name, "version": corpus_packages.version_of(p.name), "licence": p.licence}
        for p in corpus_packages.packages_of(settings.domains)
    ]


def corpus_identity(settings: SimpleNamespace, memo: str | Path | None = None) -> dict:
    """Everything the corpus depends on, without building it: `store.digest` of it names the cached corpus.

    memo: a JSON file that remembers the sha256 of input files by path, size and modification time.
    """
    identity = {
        "version": versions.CORPUS,
        "settings": {name: getattr(settings, name) for name in SETTINGS},
        "python": platform.python_version(),  # docstrings are parsed by it, and its library is a source
        "datasketch": metadata.version("datasketch"),
    }
    if settings.kind in ("folder", "jsonl") and not Path(settings.path).exists():
        return identity | {"missing": settings.path}  # plans can be made before the text is here; its job says so
    match settings.kind:
        case "embedded":
            identity["sources"] = _sources(settings)
        case "folder":
            identity["files"] = fingerprints(corpus_sources.text_files(Path(settings.path)), memo)
        case "jsonl":
            identity["files"] = fingerprints(corpus_sources.jsonl_files(Path(settings.path)), memo)
        case "huggingface":
            corpus_sources.check_revision(settings)
    return identity


def fingerprints(files: list[tuple[str, Path]], memo: str | Path | None) -> list[list]:
    """[[name, bytes, sha256], ...]; a file is only read again when its size or modification time changed."""
    known = store.read_json(memo) if memo and Path(memo).is_file() else {}
    fresh = {}
    for _, path in files:
        stat = path.stat()
        key = json.dumps([str(path.resolve()), stat.st_size, stat.st_mtime_ns])
        try:
            fresh[key] = known.get(key) or digests.file_sha256(path)
        except OSError as error:
            raise unreadable(path, error) from error
    if memo and not fresh.items() <= known.items():
        store.write_json(memo, known | fresh)
    return [[name, json.loads(key)[1], sha256] for (name, _), (key, sha256) in zip(files, fresh.items(), strict=True)]
