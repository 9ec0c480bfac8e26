"""Load tokenizers, and refuse those that lose a part of the text without saying so."""

from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from rosetta_scaling.corpora.pieces import CONTROLS
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining, pointer

NEVER_IN_UTF8 = {0xC0, 0xC1, *range(0xF5, 0x100)}
UNASSIGNED = {0xF1, 0xF2}  # begin characters of planes 4 to 11, which Unicode has left empty


def load_tokenizer(path: str | Path) -> Tokenizer:
    """The tokenizer of a tokenizer.json. Raises StudyError when it cannot be read, or when it drops characters."""
    with explaining(
        lambda error: (
            pointer(Path(path))
            or f"{path}: not a tokenizer that can be read ({error}); expected a "
            "tokenizer.json as save_pretrained writes it: write or download it again"
        )
    ):
        tokenizer = Tokenizer.from_file(str(path))
    if drops_characters(tokenizer):
        raise StudyError(
            f"{path}: a BPE tokenizer that drops the characters it does not know, so its tokens point to wrong places "
            "in the text; expected one with an unknown token, with byte fallback or with an alphabet of all bytes: add "
            "an unknown token (unk_token of its model), or choose another network"
        )
    return tokenizer


def drops_characters(tokenizer: Tokenizer) -> bool:
    """Whether a BPE tokenizer leaves out characters without a token; offsets of the tokens after them are then wrong.

    Models of other kinds have a token for what they do not know, or refuse the text.
    """
    model = tokenizer.model
    if not isinstance(model, models.BPE) or model.unk_token is not None:
        return False
    vocabulary = tokenizer.get_vocab()
    if model.byte_fallback and all(f"<0x{byte:02X}>" in vocabulary for byte in set(range(256)) - NEVER_IN_UTF8):
        return False
    if "ByteLevel" not in f"{tokenizer.pre_tokenizer} {tokenizer.normalizer}":
        return True
    # A byte-level tokenizer writes every byte as one character; those from 0xC0 on as the characters of their numbers.
    # Where its alphabet was taken from text, as that of SmolLM2 was, bytes that no text has are missing, those of
    # control characters among them, which are taken out of every corpus.
    write = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str
    never = {*map(chr, NEVER_IN_UTF8 | UNASSIGNED), *(write(chr(byte))[0][0] for byte in CONTROLS if byte < 128)}
    return not set(pre_tokenizers.ByteLevel.alphabet()) - never <= vocabulary.keys()
