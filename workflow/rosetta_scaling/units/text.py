"""Units: spans of text between token boundaries that several tokenizers share. Aligned samples for any two models.

Everything here is vectorised over tokens; the only loop is over passages, inside the tokenizers library.
Byte positions are those of the UTF-8 text of one passage; a passage is a consecutive piece of one probe document.
"""

import logging

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from rosetta_scaling.config.study import Units
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.sources import TOKENS, UNITS
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table

log = logging.getLogger(__name__)

STRIDE = 2**32  # passage * STRIDE + byte is one sortable integer per position


def cut_passages(documents: pd.DataFrame, passage_bytes: int) -> pd.DataFrame:
    """Cut probe documents into passages of at most `passage_bytes` bytes, never inside a character.

    `documents` has columns doc, domain, text; returns passage, doc, domain, start (byte in the document), text.
    """
    rows = []
    for document in documents.itertuples():
        raw, start = document.text.encode(), 0
        while start < len(raw):
            stop = min(start + passage_bytes, len(raw))
            while stop < len(raw) and raw[stop] & 0xC0 == 0x80:  # a UTF-8 continuation byte: step back
                stop -= 1
            rows.append((document.doc, document.domain, start, raw[start:stop].decode()))
            start = stop
    passages = pd.DataFrame(rows, columns=["doc", "domain", "start", "text"])
    return passages.rename_axis("passage").reset_index()


def tokenize(tokenizer: Tokenizer, passages: pd.DataFrame, max_tokens: int) -> pd.DataFrame:
    """Tokens of every passage: columns passage, position, token, start, end (bytes), special.

    Special tokens that the tokenizer adds by itself are kept, since the model expects them.
    """
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    encodings = tokenizer.encode_batch(list(passages.text))
    lengths = np.array([len(encoding) for encoding in encodings])
    offsets = np.concatenate([np.array(encoding.offsets).reshape(-1, 2) for encoding in encodings])  # characters
    special = np.concatenate([np.array(encoding.special_tokens_mask, bool) for encoding in encodings])
    passage = np.repeat(passages.passage.to_numpy(), lengths)
    to_byte, first = _byte_positions(list(passages.text))
    origin = np.repeat(first, lengths)
    return pd.DataFrame(
        {
            "passage": passage,
            "position": np.arange(len(passage)) - np.repeat(np.cumsum(lengths) - lengths, lengths),
            "token": np.concatenate([np.array(encoding.ids, np.int64) for encoding in encodings]),
            "start": to_byte[origin + offsets[:, 0]],
            "end": to_byte[origin + offsets[:, 1]],
            "special": special,
        }
    )


def _byte_positions(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Byte position of every character of every text (and of its end), flat, with the index where each text begins."""
    points = np.frombuffer("".join(text + "\0" for text in texts).encode("utf-32-le"), np.uint32)
    size = 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)  # UTF-8 bytes of a character
    lengths = np.array([len(text) + 1 for text in texts])
    first = np.cumsum(lengths) - lengths
    before = np.cumsum(size) - size
    return before - np.repeat(before[first], lengths), first


def boundaries(tokens: pd.DataFrame) -> np.ndarray:
    """Positions where a token ends and the next does not reach back, as sorted passage * STRIDE + byte.

    Two tokens that split one character both cover it, so there is no boundary between them. A gap that a tokenizer
    leaves before a token (white space) belongs to that token.
    """
    real = tokens[~tokens.special]
    passage, start, end = (real[column].to_numpy(np.int64) for column in ("passage", "start", "end"))
    last = np.append(passage[1:] != passage[:-1], True)
    reaches_back = np.append(start[1:] < end[:-1], False) & ~last
    return np.unique((passage * STRIDE + end)[(end > 0) & ~reaches_back])


def shared_units(token_tables: dict[str, pd.DataFrame], passages: pd.DataFrame, include_first: bool) -> pd.DataFrame:
    """Spans between consecutive boundaries that all tokenizers share.

    Returns one row per unit: unit, passage, doc, domain, start, end (bytes in the passage), text. The unit at the start
    of a passage holds every model's position 0 and is left out unless `include_first`.
    """
    ends = None
    for table in token_tables.values():
        found = boundaries(table)
        ends = found if ends is None else np.intersect1d(ends, found, assume_unique=True)
    passage, end = ends // STRIDE, ends % STRIDE
    first = np.append(True, passage[1:] != passage[:-1])
    start = np.where(first, 0, np.append(0, end[:-1]))
    units = pd.DataFrame({"passage": passage, "start": start, "end": end})
    if not include_first:
        units = units[~first]
    if units.empty:
        raise StudyError(
            f"the tokenizers {list(token_tables)} share no token boundary on {len(passages)} passages; "
            "expected spans that all of them can be compared on: take tokenizers of the same language"
        )
    about = passages.set_index("passage")[["doc", "domain"]]
    raw = {passage: text.encode() for passage, text in zip(passages.passage, passages.text, strict=True)}
    spans = zip(units.passage, units.start, units.end, strict=True)
    units["text"] = [raw[passage][start:end].decode() for passage, start, end in spans]
    return units.join(about, on="passage").reset_index(drop=True).rename_axis("unit").reset_index()


def unit_of_tokens(tokens: pd.DataFrame, units: pd.DataFrame) -> np.ndarray:
    """Unit index of every token, -1 for special tokens (which end at byte 0) and for those outside all units."""
    end = (tokens.passage * STRIDE + tokens.end).to_numpy(np.int64)
    unit_start = (units.passage * STRIDE + units.start).to_numpy(np.int64)
    unit_end = (units.passage * STRIDE + units.end).to_numpy(np.int64)
    slot = np.searchsorted(unit_end, end)
    inside = slot < len(unit_end)
    slot = np.minimum(slot, len(unit_end) - 1)
    # A gap before a token (white space trimmed from the offsets) may reach out of the unit, so the end decides.
    return np.where(inside & (unit_start[slot] < end), slot, -1)


def _probe_passages(documents_path: str, settings: Units) -> pd.DataFrame:
    documents = read_table(documents_path)
    return cut_passages(documents[documents.split == "probe"], settings.passage_bytes)


def _load(path: str) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise StudyError(f"{path}: not a tokenizer that can be read ({error}); expected a tokenizer.json") from None


def align(documents_path: str, tokenizers: dict[str, str], settings: Units, out: str) -> None:
    """Write the units that the named tokenizers (name -> tokenizer.json) share on the probe documents."""
    passages = _probe_passages(documents_path, settings)
    tokens = {name: tokenize(_load(path), passages, settings.max_tokens) for name, path in tokenizers.items()}
    units = shared_units(tokens, passages, settings.include_first)
    log.info(
        "%s units of %.1f bytes on %s passages",
        f"{len(units):,}",
        (units.end - units.start).mean(),
        f"{len(passages):,}",
    )
    write_checked_table(out, units, UNITS)


def index_tokens(documents_path: str, units_path: str, tokenizer_path: str, settings: Units, out: str) -> None:
    """Write the tokens of one tokenizer on the probe documents, each with its unit (-1: none)."""
    tokens = tokenize(_load(tokenizer_path), _probe_passages(documents_path, settings), settings.max_tokens)
    tokens["unit"] = unit_of_tokens(tokens, read_table(units_path))
    write_checked_table(out, tokens, TOKENS)
