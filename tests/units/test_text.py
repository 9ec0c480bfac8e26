"""Units against a slow reference that walks over tokens, for real tokenizers and text in many scripts."""

import itertools
import unicodedata

import numpy as np
import pandas as pd
import pytest
import regex
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, pre_tokenizers, processors
from tokenizers import models as tokenizer_models
from tokenizers import normalizers as norm

from rosetta_scaling.config.families import Family
from rosetta_scaling.networks.training.tokenizers import train_tokenizer
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.units.characters import is_boundary
from rosetta_scaling.units.text import _left_behind, boundaries, cut_passages, shared_units, tokenize, unit_of_tokens

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


@settings(max_examples=40)
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


@pytest.mark.parametrize("texts", [["   "], ["\u0301", "abc"], ["   ", "\u0301\u0301"]])
def test_passages_without_a_token_have_no_unit(texts):
    passages = passages_of(texts)
    table = tokenize(words(norm.BertNormalizer()), passages, 100)
    assert len(table) == len([text for text in texts if text == "abc"])
    if len(table):
        assert shared_units({"x": table}, passages, include_first=True).text.tolist() == ["abc"]
    else:
        with pytest.raises(StudyError, match="share no token boundary"):
            shared_units({"x": table}, passages, include_first=True)


def test_tokenizers_without_a_shared_boundary_are_refused(tokenizers):
    passages = passages_of(["abc"])
    tables = {name: tokenize(t, passages, 1) for name, t in tokenizers.items()}
    with pytest.raises(StudyError, match="share no token boundary"):
        shared_units(tables, passages, include_first=False)


# -- tokenizers that normalise ---------------------------------------------------------------------------------------

NORMALIZERS = {
    "nfc": norm.NFC(),
    "nfd": norm.NFD(),
    "nfkc": norm.NFKC(),
    "nfkd": norm.NFKD(),
    "lower case": norm.Lowercase(),
    "accents stripped": norm.Sequence([norm.NFD(), norm.StripAccents()]),
    "bert": norm.BertNormalizer(),
    "nmt": norm.Nmt(),
    "blanks joined": norm.Replace(Regex(" {2,}"), " "),
    "dots joined": norm.Replace("...", "…"),
    "soft hyphens dropped": norm.Replace("\u00ad", ""),
    "as sentencepiece does": norm.Sequence([norm.Nmt(), norm.NFKC(), norm.Replace(Regex(" {2,}"), " ")]),
    "all of it": norm.Sequence([norm.NFKC(), norm.Lowercase(), norm.NFD(), norm.StripAccents(), norm.NFC()]),
}
SCRIPTS = {
    "decomposed Latin": "cafe\u0301 and nai\u0308ve, Vie\u0323\u0302t, e\u0302\u0323 stacked o\u0308\u0304\u0301\u0323",
    "composed Latin": "café naïve Việt ệ Straße İstanbul ǅ",
    "Hangul jamo": "\u1112\u1161\u11ab\u1100\u1173\u11af 한글 \u3131\u314f\u3142 \uffa1\uffc2",
    "Arabic with marks": "مُحَمَّدٌ \ufefb \ufdfa \u0627\u0653 \u0627\u0654\u064e",
    "Devanagari": "क्षि हिन्दी \u0928\u093c \u0921\u093c ज़",
    "Thai": "กำ ก่ำ น้ำ ภาษาไทย",
    "Burmese": "မြန်မာ ကော်ဖီ",
    "emoji": "👩‍👩‍👧‍👦 👍🏽 🇩🇪🇫🇷 ❤️ 1️⃣",
    "full width": "\uff21\uff22\uff23\u3000\uff11\uff12 ｶﾞｷﾞﾊﾟ か\u3099",
    "ligatures": "ﬁrst oﬃce ﬅ ½ ① ㎏ ™ \u210c Å",
    "blanks": "a  b   c    ...d ....  e",
    "left out": "co\u00adop\u00ad era\u200btion\u00ad\u00ad  x\u200d y\ufeff",
}


def normalising(normalizer) -> Tokenizer:
    """A byte-level tokenizer with tokens of several characters, behind a normaliser."""
    texts = [normalizer.normalize_str(text) for text in SCRIPTS.values()] * 3
    tokenizer = train_tokenizer(texts, Family(architecture="gpt2", vocabulary=420))
    tokenizer.normalizer = normalizer
    return tokenizer


NORMALISING = {name: normalising(normalizer) for name, normalizer in NORMALIZERS.items()}


# Nmt makes a blank of a joiner, which may be joined with blanks behind it, and yet belongs to the character before it.
BLANKS = ("nmt", "as sentencepiece does")


def assert_units_hold_what_their_tokens_stand_for(name: str, text: str) -> None:
    """Normalised, the text of every unit is what its tokens decode to: nothing of it is in a neighbour's tokens."""
    text = text.replace("\u200d", "-") if name in BLANKS else text
    tokenizer, passages = NORMALISING[name], passages_of([text], 100_000)
    table = tokenize(tokenizer, passages, 100_000)
    if not len(boundaries(table)):  # all of it was left out
        return
    units = shared_units({name: table}, passages, include_first=True)
    index = unit_of_tokens(table, units)
    whole = is_boundary(text)
    byte = [len(text[:i].encode()) for i in range(len(text) + 1)]
    for unit in units.itertuples():
        tokens = table.token[index == unit.unit].tolist()
        assert tokenizer.decode(tokens) == NORMALIZERS[name].normalize_str(unit.text), (unit.text, tokens)
        assert whole[byte.index(unit.end)], f"{unit.text!r} ends inside a character"


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("name", NORMALIZERS)
def test_units_of_normalising_tokenizers_hold_what_their_tokens_stand_for(name, script):
    assert_units_hold_what_their_tokens_stand_for(name, SCRIPTS[script])


@settings(max_examples=300)
@given(
    name=st.sampled_from(list(NORMALIZERS)),
    text=st.text(st.sampled_from(sorted(set("".join(SCRIPTS.values())))), min_size=1, max_size=30),
)
@pytest.mark.slow(0.1)
def test_any_mixture_of_scripts_too(name, text):
    assume(not LOOSE_JAMO.search(text))
    assert_units_hold_what_their_tokens_stand_for(name, text)


# A jamo of the compatibility or half-width block, and a combining mark behind it or behind the jamo that follow.
LOOSE_JAMO = regex.compile(r"[\u3130-\u318f\uffa0-\uffdc][\u1160-\u11ff]*\p{M}")


@pytest.mark.xfail(strict=True, reason="NFKC joins these jamo, and the mark takes one of them along")
def test_a_mark_behind_jamo_that_only_compatibility_joins():
    assert_units_hold_what_their_tokens_stand_for("nfkc", "\u1100\uffc2\u093c")


def unit_texts(tokenizer: Tokenizer, text: str) -> list[str]:
    passages = passages_of([text], 1000)
    return shared_units({"x": tokenize(tokenizer, passages, 1000)}, passages, include_first=True).text.tolist()


def words(normalizer) -> Tokenizer:
    tokenizer = Tokenizer(tokenizer_models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizers.WhitespaceSplit()
    return tokenizer


def points(normalizer) -> Tokenizer:
    """One token for every code point of the normalised text."""
    tokenizer = words(normalizer)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(?m:.)"), "isolated")
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "text", "expected"),
    [
        (words(norm.NFC()), "cafe\u0301 au lait", ["cafe\u0301", " au", " lait"]),
        (words(norm.BertNormalizer()), "Vie\u0323\u0302t Nam", ["Vie\u0323\u0302t", " Nam"]),
        (words(norm.BertNormalizer()), "co\u00adop\u00ad era", ["co\u00adop\u00ad", " era"]),
        (points(norm.NFC()), "e\u0301 x", ["e\u0301", " ", "x"]),
        (points(norm.NFC()), "\u1112\u1161\u11ab글", ["\u1112\u1161\u11ab", "글"]),
        (points(norm.NFKC()), "\u3131\u314f가", ["\u3131\u314f", "가"]),
        (points(norm.NFKC()), "ｶﾞx", ["ｶﾞ", "x"]),
        (points(norm.NFKC()), "ﬁx", ["ﬁ", "x"]),
        (points(norm.NFD()), "é글a", ["é", "글", "a"]),
        (points(norm.Replace(Regex(" {2,}"), " ")), "a   b", ["a", "   ", "b"]),
        (points(norm.Replace("...", "…")), "a...b", ["a", "...", "b"]),
        (points(norm.Sequence([norm.Prepend("▁"), norm.Replace(" ", "▁")])), "a  b", ["a", " ", " ", "b"]),
        (points(norm.Strip()), "  ab  ", ["  a", "b"]),
        (points(norm.Lowercase()), "İx", ["İ", "x"]),
        (points(norm.Sequence([norm.NFD(), norm.StripAccents()])), "ก่ำa", ["ก่ำ", "a"]),
        (points(None), "e\u0301 x", ["e\u0301", " ", "x"]),
        (points(None), "👩‍👧x", ["👩‍👧", "x"]),
        (points(None), "abc", ["a", "b", "c"]),
    ],
)
def test_no_unit_cuts_through_a_composed_character(tokenizer, text, expected):
    assert unit_texts(tokenizer, text) == expected


def test_passages_keep_a_letter_and_its_marks_together():
    text = "e\u0301" * 30 + "x"
    passages = passages_of([text], 32)  # 3 bytes a letter
    assert passages.text.tolist() == ["e\u0301" * 10, "e\u0301" * 10, "e\u0301" * 10 + "x"]
    assert passages.start.tolist() == [0, 30, 60]
    endless = "e" + "\u0301" * 50
    cut = passages_of([endless], 32)
    assert "".join(cut.text) == endless
    assert cut.text.str.encode("utf-8").str.len().max() <= 32


@given(st.text(st.sampled_from(sorted(set("".join(SCRIPTS.values())))), max_size=60))
def test_no_boundary_stands_before_what_composes_with_the_character_before_it(text):
    whole = is_boundary(text)
    assert whole[0] or not text
    assert whole[-1]
    for i in range(1, len(text)):
        before, after = unicodedata.normalize("NFC", text[:i]), unicodedata.normalize("NFC", text[i:])
        if before + after != unicodedata.normalize("NFC", text) and unicodedata.combining(text[i]):
            assert not whole[i], (text, i)


# -- control tokens written in the text -------------------------------------------------------------------------------

WRITTEN = "The tags <s>, </s>, <mask> and <|endoftext|> are words here. " * 2


def with_specials(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.add_special_tokens(["<s>", "</s>", "<mask>", "<|endoftext|>"])
    start = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", start)])
    return tokenizer


@pytest.mark.parametrize("family", FAMILIES)
def test_control_tokens_written_in_the_text_are_read_as_text(tokenizers, family):
    tokenizer, passages = with_specials(tokenizers[family]), passages_of([WRITTEN], 1000)
    table = tokenize(tokenizer, passages, 1000)
    control = [i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special]
    assert table.token[table.special].tolist() == [tokenizer.token_to_id("<s>")], "the one that the tokenizer adds"
    assert table.position[table.special].tolist() == [0]
    assert not table.token[~table.special].isin(control).any()
    assert tokenizer.decode(table.token[~table.special].tolist()) == WRITTEN
    assert "".join(shared_units({family: table}, passages, include_first=True).text) == WRITTEN


UNIGRAM = [("<s>", 0.0), ("<unk>", 0.0), *((letter, -3.0) for letter in sorted(set(WRITTEN) | {">"}))]


@pytest.mark.parametrize(
    ("model", "pre"),
    [
        (tokenizer_models.Unigram(UNIGRAM, 1, False), None),
        (tokenizer_models.WordLevel({"<unk>": 0, "<s>": 1}, unk_token="<unk>"), pre_tokenizers.WhitespaceSplit()),
        (tokenizer_models.WordPiece({"<unk>": 0, "<s>": 1}, unk_token="<unk>"), pre_tokenizers.WhitespaceSplit()),
    ],
)
def test_a_control_token_that_the_model_itself_finds_is_special_and_an_unknown_word_is_not(model, pre):
    tokenizer = Tokenizer(model)
    if pre:
        tokenizer.pre_tokenizer = pre
    tokenizer.add_special_tokens(["<s>", "<unk>"])
    passages = passages_of(["here <s> 日 here"])
    table = tokenize(tokenizer, passages, 100)
    assert table.special.tolist() == (table.token == tokenizer.token_to_id("<s>")).tolist()
    assert table.special.sum() == 1
    assert (table.token == tokenizer.token_to_id("<unk>")).any()
    units = shared_units({"x": table}, passages, include_first=True)
    assert (unit_of_tokens(table, units)[table.special] == -1).all()
    assert "".join(units.text) == "here <s> 日 here"


@pytest.mark.parametrize("text", ["some words and more of them, " * 150, "文" * 1500])
def test_long_gaps_take_few_normalisations(text):
    """Behind a passage that is cut short there may be thousands of code points."""
    calls = []

    class Counting:
        def normalize_str(self, part):
            calls.append(part)
            return norm.NFKC().normalize_str(part)

    assert _left_behind(Counting(), "e", "\u0301" + text) == 1
    assert len(calls) < 200
