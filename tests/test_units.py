"""Units against a slow reference that walks over tokens, for real tokenizers and text in many scripts."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers import models as tokenizer_models

from rosetta_scaling.config.study import Family
from rosetta_scaling.networks.training.tokenizers import train_tokenizer
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.units.text import boundaries, cut_passages, shared_units, tokenize, unit_of_tokens

TEXTS = [
    "def area(r):\n    return 3.14159 * r ** 2  # circle\n" * 5,
    "Der Fluß trägt Öl über die Brücke; naïve café, 12345 Stück für 6,50 €. " * 5,
    "日本語の文章と emoji 🙂🙃 mixed with English words and числа 42. " * 5,
    "In the beginning God created the heaven and the earth. " * 8,
]
FAMILIES = {
    name: Family(architecture=name, vocabulary=300 + 20 * i, seed=i)
    for i, name in enumerate(("gpt2", "llama", "gpt_neox"))
}


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {name: train_tokenizer(TEXTS * 2, family) for name, family in FAMILIES.items()}


def passages_of(texts: list[str], size: int = 64) -> pd.DataFrame:
    documents = pd.DataFrame(
        {"doc": range(len(texts)), "domain": [f"d{i % 2}" for i in range(len(texts))], "text": texts}
    )
    return cut_passages(documents, size)


def reference_units(tokenizers, passages, max_tokens: int = 128) -> list[tuple[int, int, int]]:
    """(passage, start, end) by walking over the tokens of every passage, character offsets turned to bytes by hand."""
    units = []
    for passage in passages.itertuples():
        shared = None
        for tokenizer in tokenizers.values():
            offsets = tokenizer.encode(passage.text).offsets[:max_tokens]
            ends = set()
            for i, (_, end) in enumerate(offsets):
                if i + 1 == len(offsets) or offsets[i + 1][0] >= end:
                    ends.add(len(passage.text[:end].encode()))
            shared = ends if shared is None else shared & ends
        stops = sorted(shared - {0})
        units += [(passage.passage, start, stop) for start, stop in itertools.pairwise(stops)]
    return units


def test_units_equal_the_reference(tokenizers):
    passages = passages_of(TEXTS)
    tables = {name: tokenize(t, passages, 128) for name, t in tokenizers.items()}
    units = shared_units(tables, passages, include_first=False)
    assert list(zip(units.passage, units.start, units.end, strict=True)) == reference_units(tokenizers, passages)
    assert len(units) > 100
    texts = dict(zip(passages.passage, passages.text, strict=True))
    for unit in units.itertuples():
        assert unit.text == texts[unit.passage].encode()[unit.start : unit.end].decode()
    assert units.text.str.len().sum() < (units.end - units.start).sum(), "there are characters of several bytes"
    assert units.unit.tolist() == list(range(len(units)))


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=4), size=st.integers(32, 100))
def test_any_text_is_covered_once(texts, size):
    tokenizers = {name: train_tokenizer(TEXTS, family) for name, family in list(FAMILIES.items())[:2]}
    passages = passages_of(texts, size)
    for document, rows in passages.groupby("doc"):
        assert "".join(rows.text) == texts[document]
    tables = {name: tokenize(t, passages, 1000) for name, t in tokenizers.items()}
    units = shared_units(tables, passages, include_first=True)
    for passage, rows in units.groupby("passage"):
        text = passages.text[passage].encode()
        assert rows.start.iloc[0] == 0
        assert rows.end.iloc[-1] == len(text)
        assert "".join(rows.text) == passages.text[passage]
        assert (rows.start.to_numpy()[1:] == rows.end.to_numpy()[:-1]).all()
    for table in tables.values():
        assert (unit_of_tokens(table, units) >= 0).all()


def test_every_token_lies_in_its_unit(tokenizers):
    passages = passages_of(TEXTS)
    tables = {name: tokenize(t, passages, 128) for name, t in tokenizers.items()}
    units = shared_units(tables, passages, include_first=False)
    for table in tables.values():
        index = unit_of_tokens(table, units)
        inside, unit = table[index >= 0], units.loc[index[index >= 0]]
        assert (inside.passage.to_numpy() == unit.passage.to_numpy()).all()
        assert (inside.start.to_numpy() >= unit.start.to_numpy()).all()
        assert (inside.end.to_numpy() <= unit.end.to_numpy()).all()
        assert set(unit.unit) == set(units.unit), "every unit has a token of every tokenizer"
        assert (index[table.position == 0] == -1).all(), "position 0 is left out"


def test_truncated_tokens_end_the_units(tokenizers):
    passages = passages_of(TEXTS, 200)
    long, short = (
        shared_units({n: tokenize(t, passages, limit) for n, t in tokenizers.items()}, passages, False)
        for limit in (1000, 20)
    )
    assert 0 < len(short) < len(long)
    table = tokenize(tokenizers["gpt2"], passages, 1000)
    assert (unit_of_tokens(table, short) == -1).sum() > (unit_of_tokens(table, long) == -1).sum()


def test_special_tokens_are_in_no_unit(tokenizers):
    tokenizer = Tokenizer.from_str(tokenizers["llama"].to_str())
    end = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", end)]
    )
    passages = passages_of(TEXTS)
    table = tokenize(tokenizer, passages, 128)
    assert table.special.sum() == len(passages)
    plain = tokenize(tokenizers["llama"], passages, 128)
    np.testing.assert_array_equal(boundaries(table), boundaries(plain))
    units = shared_units({"llama": table}, passages, include_first=True)
    assert (unit_of_tokens(table, units)[table.special] == -1).all()


def test_white_space_left_out_of_offsets_belongs_to_the_next_token():
    tokenizer = Tokenizer(tokenizer_models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    passages = passages_of(["one two  three"])
    units = shared_units({"words": tokenize(tokenizer, passages, 10)}, passages, include_first=True)
    assert list(zip(units.start, units.end, strict=True)) == [(0, 3), (3, 7), (7, 14)]
    assert units.text.tolist() == ["one", " two", "  three"]
    assert unit_of_tokens(tokenize(tokenizer, passages, 10), units).tolist() == [0, 1, 2]


def test_tokenizers_without_a_shared_boundary_are_refused(tokenizers):
    passages = passages_of(["abc"])
    tables = {name: tokenize(t, passages, 1) for name, t in tokenizers.items()}
    with pytest.raises(StudyError, match="share no token boundary"):
        shared_units(tables, passages, include_first=False)
