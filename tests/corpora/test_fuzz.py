"""Random files as a corpus: each is read as it is, or refused with one sentence. See fuzzing.py for more examples."""

import gzip
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import zstandard
from fuzzing import fuzz, sentence_of
from hypothesis import event, example, given
from hypothesis import strategies as st

from rosetta_scaling.corpora import documents as corpus
from rosetta_scaling.store import tables as store
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.units.text import cut_passages

pytestmark = pytest.mark.slow(0.5)

FORMATS = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
DOMAINS = st.just("law") | NAMES
# Letters of many scripts, marks that join to them, blanks, control characters, byte order marks, halves of surrogates.
TEXTS = st.text(max_size=60) | st.text("ab \n\r\0\ufeff\x85\u2028\u0301\u200d\ud800\udc00é世😀", max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
META = st.dictionaries(st.just("pile_set_name"), JSON) | JSON
ROWS = st.fixed_dictionaries({}, optional={"text": TEXTS | JSON, "meta": META, "other": JSON})
GOOD_ROWS = st.fixed_dictionaries({"text": TEXTS, "meta": st.fixed_dictionaries({"pile_set_name": TEXTS})})


def plain(domains: Iterable[str]) -> list[tuple[str, str]]:
    """Three ordinary documents for every domain, so that each can be read; no two are alike."""
    numbered = [(i, domain, number) for i, domain in enumerate(sorted(set(domains))) for number in range(3)]
    return [(domain, " ".join(f"{i}x{number}x{word}" for word in range(7))) for i, domain, number in numbered]


def plain_rows(domains: Iterable[str]) -> list[dict]:
    return [{"text": text, "meta": {"pile_set_name": domain}} for domain, text in plain(domains)]


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def options(path: Path, **changes) -> SimpleNamespace:
    """Settings under which a few bytes are enough of a corpus."""
    values = dict.fromkeys(corpus.SETTINGS)
    values |= {"path": str(path), "text_column": "text", "domain_column": "meta.pile_set_name", "seed": 0}
    values |= {"bytes_per_domain": 10_000, "probe_bytes_per_domain": 20, "near_duplicate_threshold": 0.8}
    values |= {"min_document_bytes": 1, "max_document_bytes": 40}
    return SimpleNamespace(**values | changes)


def built(settings: SimpleNamespace, out: Path) -> pd.DataFrame | None:
    """The table of a corpus, checked against its manifest; None when the corpus was refused with a sentence."""
    try:
        corpus.corpus_identity(settings, out / "memo.json")
        manifest = corpus.build_corpus(settings, out)
    except StudyError as error:
        event(f"{settings.kind}: refused")
        refused = sentence_of(error)
    else:
        event(f"{settings.kind}: read")
        table = store.read_table(out / "documents.parquet")
        assert manifest["totals"]["documents"] == len(table) > 0
        assert set(table.split) == {"train", "probe"}
        passages = cut_passages(table, 32)
        assert passages.groupby("doc").text.sum().tolist() == table.sort_values("doc").text.tolist()
        return table
    assert "corpus" in refused
    return None


def read_lines(lines: list[bytes], suffix: str, damaged: Callable[[bytes], bytes] = bytes, called: str | None = None):
    """The table of a corpus of one file of these lines, compressed by its suffix and then damaged."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.jsonl{suffix if called is None else called}"
        path.write_bytes(damaged(FORMATS[suffix](b"\n".join(lines))))
        return built(options(path, kind="jsonl"), Path(folder) / "out")


def kept_unchanged(table: pd.DataFrame, originals: Iterable[str]) -> None:
    """Every document is a part of one of the texts, less what cleaning takes."""
    whole = [corpus.clean(text) for text in originals]
    assert all(any(text in one for one in whole) for text in table.text)


@fuzz()
@given(st.dictionaries(st.tuples(DOMAINS, NAMES), st.binary(max_size=80) | TEXTS.map(to_bytes), max_size=6))
@example({("law", "Stra\udcdfe.txt"): b"a file name in Latin-1"})
@example({("Stra\udcdfe", "a.txt"): b"a domain in Latin-1"})
def test_a_folder_of_any_files(files):
    ordinary = plain(domain for domain, _ in files)
    files |= {(domain, f"plain{i}"): text.encode() for i, (domain, text) in enumerate(ordinary)}
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "in", Path(folder) / "out"
        root.mkdir()
        for (domain, name), content in files.items():
            (root / domain).mkdir(exist_ok=True)
            (root / domain / name).write_bytes(content)
        table = built(options(root, kind="folder"), out)
    if table is not None:
        kept_unchanged(table, [content.decode("utf-8-sig", "replace") for content in files.values()])
        assert set(table.domain) == {domain for domain, _ in files if not domain.startswith(".")}


@fuzz()
@given(st.lists(GOOD_ROWS, max_size=6), st.sampled_from(list(FORMATS)), st.booleans())
@example([{"text": "x", "meta": {"pile_set_name": "\ud800"}}], "", True)
@example([{"text": "\ud800\udc00", "meta": {"pile_set_name": ""}}], "", True)
def test_lines_of_text_of_any_letters(rows, suffix, escaped):
    rows = json.loads(json.dumps(rows)) if escaped else rows  # two surrogates in a row become the letter they stand for
    domains = {row["meta"]["pile_set_name"] for row in rows} | {"law"}
    rows = [*rows, *plain_rows(domains)]
    lines = [to_bytes(json.dumps(row, ensure_ascii=escaped)) for row in rows]
    table = read_lines(lines, suffix)
    if table is not None:
        kept_unchanged(table, [row["text"] for row in rows])
        assert set(table.domain) == domains


@fuzz()
@given(st.lists(ROWS | JSON, min_size=1, max_size=4), st.sampled_from(list(FORMATS)))
@example([[{"text": "x"}]], "")
@example([None], "")
@example(["e"], "")
def test_lines_of_any_json(rows, suffix):
    rows = [*plain_rows(["law"]), *json.loads(json.dumps(rows))]
    table = read_lines([json.dumps(row).encode() for row in rows], suffix)
    if table is not None:
        kept_unchanged(table, [row["text"] for row in rows])


@fuzz()
@given(st.lists(GOOD_ROWS, max_size=4), st.sampled_from(list(FORMATS)), st.integers(0, 700), st.binary(max_size=4))
def test_a_file_cut_anywhere_with_anything_after_it(rows, suffix, length, more):
    rows = [*plain_rows(["law"]), *rows]
    lines = [json.dumps(row).encode() for row in rows]
    table = read_lines(lines, suffix, lambda data: data[:length] + more)
    if table is not None:  # what is read of a cut file is whole lines of it
        kept_unchanged(table, [row["text"] for row in rows])


@fuzz()
@given(st.binary(max_size=200), st.sampled_from(list(FORMATS)), st.booleans())
def test_any_bytes_called_jsonl(content, suffix, compressed):
    assert read_lines([content], suffix if compressed else "", called=suffix) is None
