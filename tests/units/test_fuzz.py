"""Random texts and tokenizers: units divide the text, and every token lies in one of them. See fuzzing.py."""

import itertools
from collections.abc import Callable

import pandas as pd
import pytest
from fuzzing import fuzz
from hypothesis import assume, event, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from rosetta_scaling.corpora import documents as corpus
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.units.text import cut_passages, shared_units, tokenize, unit_of_tokens

pytestmark = pytest.mark.slow(0.5)

SCRIPTS = {
    "Latin": "the naïve café of Straße İstanbul, cafe\u0301 e\u0323\u0302 ﬁ ½",
    "Cyrillic and Greek": "числа й и\u0306 ёлка Ελλάδα ά α\u0301",  # noqa: RUF001
    "Arabic and Hebrew": "مُحَمَّد \ufefb שָׁלוֹם",
    "of India and its neighbours": "क्षि हिन्दी \u0928\u093c กำ น้ำ မြန်မာ",
    "East Asian": "日本語 が か\u3099 ｶﾞ 한글 \u1112\u1161\u11ab \u3131\u314f",
    "others": "👩‍👩‍👧 👍🏽 🇩🇪 co\u00adop x\u200by \u2028 \u00a0 \ufeff <s> [UNK] 𝔄𝒷 1️⃣",  # noqa: RUF001
    "blanks": "a  b\n\n\tc    d ...  \n",
}
LETTERS = sorted(set("".join(SCRIPTS.values())))
TEXTS = st.text(st.sampled_from(LETTERS) | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
PIECES = st.lists(TEXTS | st.sampled_from(sorted(SCRIPTS.values())), min_size=1, max_size=3).map(" ".join)
NORMALIZERS = {
    "none": None,
    "nfc": normalizers.NFC(),
    "nfkc": normalizers.NFKC(),
    "nfd": normalizers.NFD(),
    "lower": normalizers.Lowercase(),
    "strip": normalizers.Strip(),
    "accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    "bert": normalizers.BertNormalizer(),
    "all": normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()]),
}


def byte_level() -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)


def unigram() -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = {"unk_token": "<unk>", "special_tokens": ["<unk>", "<s>"]}
    return tokenizer, trainers.UnigramTrainer(vocab_size=200, show_progress=False, **special)


def word_piece() -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer, trainers.WordPieceTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False)


def trained(make: Callable, normalizer: str) -> Tokenizer:
    tokenizer, trainer = make()
    if NORMALIZERS[normalizer]:
        tokenizer.normalizer = NORMALIZERS[normalizer]
    tokenizer.train_from_iterator(list(SCRIPTS.values()) * 3, trainer)
    return tokenizer


TOKENIZERS = {
    f"{make.__name__} {name}": trained(make, name)
    for make, name in itertools.product((byte_level, unigram, word_piece), NORMALIZERS)
}


def units_of(tokens: dict[str, pd.DataFrame], passages: pd.DataFrame) -> pd.DataFrame:
    """Shared units, none when these tokenizers share no boundary."""
    try:
        return shared_units(tokens, passages, include_first=True)
    except StudyError as error:
        refused = str(error)
    assert "share no token boundary" in refused
    return pd.DataFrame()


@fuzz()
@given(
    st.lists(PIECES.map(corpus.clean).filter(bool), min_size=1, max_size=3),
    st.lists(st.sampled_from(list(TOKENIZERS)), min_size=1, max_size=3, unique=True),
    st.integers(32, 200),
    st.sampled_from([4, 10_000]),
)
def test_units_divide_the_text_and_every_token_lies_in_one(texts, names, passage_bytes, max_tokens):
    about = {"doc": range(len(texts)), "domain": "d", "text": texts}
    passages = cut_passages(pd.DataFrame(about), passage_bytes)
    assert passages.groupby("doc").text.sum().tolist() == texts
    tokens = {name: tokenize(TOKENIZERS[name], passages, max_tokens) for name in names}
    units = units_of(tokens, passages)
    event("units" if len(units) else "no units")
    assume(len(units))
    divided(units, passages)
    for table in tokens.values():
        every_token_lies_in_one(table, units)
    pd.testing.assert_frame_equal(units, units_of(dict(reversed(tokens.items())), passages))
    alone = units_of({name: tokenize(TOKENIZERS[name], passages, max_tokens) for name in sorted(names)}, passages)
    pd.testing.assert_frame_equal(units, alone)


def divided(units: pd.DataFrame, passages: pd.DataFrame) -> None:
    """The units of a passage follow each other from its first byte on, and hold its text."""
    for passage, rows in units.groupby("passage"):
        raw = passages.text[passage].encode()
        assert rows.start.tolist() == [0, *rows.end[:-1]]
        assert (rows.end > rows.start).all()
        assert [text.encode() for text in rows.text] == [raw[a:b] for a, b in zip(rows.start, rows.end, strict=True)]


def every_token_lies_in_one(table: pd.DataFrame, units: pd.DataFrame) -> None:
    """Tokens are in order, reach over no end of a unit, and each unit has some; special ones are in none."""
    index = unit_of_tokens(table, units)
    inside, of = table[index >= 0], units.iloc[index[index >= 0]]
    assert (inside.passage.to_numpy() == of.passage.to_numpy()).all()
    assert (inside.start.to_numpy() >= of.start.to_numpy()).all()
    assert (inside.end.to_numpy() <= of.end.to_numpy()).all()
    assert set(of.unit) == set(units.unit)
    outside = table[(index < 0) & ~table.special & (table.end > table.start)]
    last = units.groupby("passage").end.max().reindex(outside.passage, fill_value=0)
    assert (outside.end.to_numpy() > last.to_numpy()).all(), "only what lies behind the last unit is in none"
    assert (index[table.special] == -1).all()
