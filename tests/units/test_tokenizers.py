"""Tokenizers that lose characters are refused when they are loaded."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.units.tokenizers import load_tokenizer

LINES = ["the cat sat on the mat", "a map of the sea"]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


def trained(model: models.BPE, alphabet: list[str], *special: str) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=alphabet, special_tokens=list(special), show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return tokenizer


def saved(tokenizer: Tokenizer, folder) -> str:
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder / "tokenizer.json")


def test_a_tokenizer_that_drops_characters_is_refused(tmp_path):
    tokenizer = trained(models.BPE(), [])
    encoding = tokenizer.encode("the çat")
    where = dict(zip(encoding.tokens, encoding.offsets, strict=True))
    assert "the çat"[slice(*where["at"])] == "ç", "what follows a dropped character points to a wrong place"
    with pytest.raises(StudyError, match="drops the characters it does not know"):
        load_tokenizer(saved(tokenizer, tmp_path))


def test_byte_level_symbols_help_only_where_text_is_written_in_them(tmp_path):
    with pytest.raises(StudyError, match="drops the characters it does not know"):
        load_tokenizer(saved(trained(models.BPE(), ALPHABET), tmp_path))


# What the tokenizer of SmolLM2 has no symbols for: control characters, unassigned planes, and what UTF-8 never has.
SMOLLM2_LACKS = "ĄĆēĔĖĝñòÀÁõö÷øùúûüýþÿ"


@pytest.mark.parametrize(
    ("lost", "needed"), [("", False), ("z", True), ("Ċ", True), (SMOLLM2_LACKS, False), ("ó", True)]
)
def test_byte_level_tokenizers_need_all_bytes_of_text(tmp_path, lost, needed):
    tokenizer = trained(models.BPE(), [symbol for symbol in ALPHABET if symbol not in lost])
    tokenizer.pre_tokenizer, tokenizer.decoder = None, decoders.ByteLevel()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.ByteLevel()])
    if needed:
        with pytest.raises(StudyError, match="drops the characters it does not know"):
            load_tokenizer(saved(tokenizer, tmp_path))
        return
    tokenizer = load_tokenizer(saved(tokenizer, tmp_path))
    assert tokenizer.decode(tokenizer.encode("the çat zzz").ids) == "the çat zzz"


@pytest.mark.parametrize("fallback", [False, True])
def test_unknown_tokens_and_byte_fallback_keep_all_text(tmp_path, fallback):
    model = models.BPE(byte_fallback=True) if fallback else models.BPE(unk_token="<unk>")
    special = [f"<0x{byte:02X}>" for byte in range(256)] if fallback else ["<unk>"]
    tokenizer = load_tokenizer(saved(trained(model, [], *special), tmp_path))
    encoding = tokenizer.encode("the çat")
    assert any("the çat"[start:end] == "ç" for start, end in encoding.offsets)
    assert [part for part in encoding.tokens if part == "at"] == ["at"]
    assert encoding.offsets[encoding.tokens.index("at")] == (5, 7)
