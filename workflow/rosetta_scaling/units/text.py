"""Units: spans of text between token boundaries that several tokenizers share. Aligned samples for any two models.

Everything here is vectorised over tokens; the only loop is over passages, inside the tokenizers library.
Byte positions are those of the UTF-8 text of one passage; a passage is a consecutive piece of one probe document.
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd
from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import Normalizer

from rosetta_scaling.config.units import Units
from rosetta_scaling.numerics.runs import begins_run
from rosetta_scaling.schemas.tables.schema import write_checked_table
from rosetta_scaling.schemas.tables.sources import TOKENS, UNITS
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.units.characters import is_boundary
from rosetta_scaling.units.tokenizers import load_tokenizer

log = logging.getLogger(__name__)

STRIDE = 2**32  # passage * STRIDE + byte is one sortable integer per position
LONGEST = 18  # code points that the normal forms of Unicode make of one


def cut_passages(documents: pd.DataFrame, passage_bytes: int) -> pd.DataFrame:
    """Cut probe documents into passages of at most `passage_bytes` bytes, never inside a character.

    A letter and its marks are one character (see characters.py); one that is longer than a passage is cut between its
    code points. `documents` has columns doc, domain, text; returns passage, doc, domain, start (byte in the document),
    text.
    """
    rows = []
    for document in documents.itertuples():
        raw, start = document.text.encode(), 0
        points = _positions([document.text])
        whole = points.byte[is_boundary(document.text)]
        while start < len(raw):
            for ends in (whole, points.byte):
                stop = int(ends[np.searchsorted(ends, start + passage_bytes, side="right") - 1])
                if stop > start:
                    break
            rows.append((document.doc, document.domain, start, raw[start:stop].decode()))
            start = stop
    passages = pd.DataFrame(rows, columns=["doc", "domain", "start", "text"])
    return passages.rename_axis("passage").reset_index()


def tokenize(tokenizer: Tokenizer, passages: pd.DataFrame, max_tokens: int) -> pd.DataFrame:
    """Tokens of every passage: columns passage, position, token, start, end (bytes), special.

    Special tokens that the tokenizer adds by itself are kept, since the model expects them. Those that are written in
    the text (<s>, <mask>) are read as text; a model of whole words or pieces that knows them as such (Unigram,
    WordLevel, WordPiece) still finds them, and then they are special too.

    A token reaches over whole characters, and over what the normalisation of the text left behind it: the accent that
    went into its letter, a soft hyphen that was dropped.
    """
    texts = list(passages.text)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    tokenizer.encode_special_tokens = True
    encodings = tokenizer.encode_batch(texts)
    lengths = np.array([len(encoding) for encoding in encodings])
    offsets = [np.array(encoding.offsets, np.int64).reshape(-1, 2) for encoding in encodings]  # code points
    added = np.concatenate([np.array(encoding.special_tokens_mask, bool) for encoding in encodings])
    special = added | _written_special(tokenizer, encodings, texts)
    points = _positions(texts)
    origin = np.repeat(points.first, lengths)
    start, end = origin + np.concatenate(offsets).T
    start, end = points.whole_start[start], points.whole_end[end]
    if tokenizer.normalizer is not None:
        end = _reach_over_gaps(tokenizer.normalizer, texts, points, (start, end, special))
    return pd.DataFrame(
        {
            "passage": np.repeat(passages.passage.to_numpy(), lengths),
            "position": np.arange(len(start)) - np.repeat(np.cumsum(lengths) - lengths, lengths),
            "token": np.concatenate([np.array(encoding.ids, np.int64) for encoding in encodings]),
            "start": points.byte[start],
            "end": points.byte[end],
            "special": special,
        }
    )


class Positions(NamedTuple):
    """Positions of all texts in one row, code points + 1 of each; `first` (texts,) is where each text begins."""

    first: np.ndarray
    byte: np.ndarray  # of the UTF-8 text, counted from its own beginning
    whole_start: np.ndarray  # where the character (see characters.py) begins that a position lies inside, else itself
    whole_end: np.ndarray  # where it ends


def _positions(texts: list[str]) -> Positions:
    points = np.frombuffer("".join(text + "\0" for text in texts).encode("utf-32-le"), np.uint32)
    size = 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)  # UTF-8 bytes of a code point
    lengths = np.array([len(text) + 1 for text in texts])
    first = np.cumsum(lengths) - lengths
    before = np.cumsum(size) - size
    places = np.arange(len(points))
    whole = np.concatenate([is_boundary(text) for text in texts])
    whole_start = np.maximum.accumulate(np.where(whole, places, 0))
    whole_end = np.minimum.accumulate(np.where(whole, places, len(places))[::-1])[::-1]
    return Positions(first, before - np.repeat(before[first], lengths), whole_start, whole_end)


def _written_special(tokenizer: Tokenizer, encodings: list[Encoding], texts: list[str]) -> np.ndarray:
    """Tokens (all encodings in one row) that are special ones spelled out in the text: <s>, but not an unknown word."""
    content = {i: token.content for i, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    found = []
    for encoding, text in zip(encodings, texts, strict=True):
        ids, offsets = np.array(encoding.ids, np.int64), encoding.offsets
        spelled = np.isin(ids, list(content))
        for i in np.flatnonzero(spelled):
            spelled[i] = text[slice(*offsets[i])] == content[ids[i]]
        found.append(spelled)
    return np.concatenate(found)


def _reach_over_gaps(normalizer: Normalizer, texts: list[str], points: Positions, tokens: tuple) -> np.ndarray:
    """Ends of tokens, each moved over as much of the gap behind it as adds nothing to the normalised text.

    tokens: start, end (flat positions), special. White space that was only left out belongs to the next token, as ever.
    """
    start, end, special = tokens
    end = end.copy()
    flat = "\0".join(texts) + "\0"
    visible = np.cumsum([0] + [not (point.isspace() or point == "\0") for point in flat])  # before every position
    real = np.flatnonzero(~special & (end > start))
    text = np.searchsorted(points.first, start[real], side="right") - 1
    same_text = np.append(text[1:] == text[:-1], False)
    stop = np.where(same_text, np.append(start[real][1:], 0), np.append(points.first[1:], len(flat))[text] - 1)
    gaps = np.flatnonzero(visible[stop] > visible[end[real]])
    for token, limit in zip(real[gaps], stop[gaps], strict=True):
        own, gap = flat[start[token] : end[token]], flat[end[token] : limit]
        end[token] = points.whole_end[end[token] + _left_behind(normalizer, own, gap)]
    return end


def _left_behind(normalizer: Normalizer, own: str, gap: str) -> int:
    """How much of a gap adds nothing to the normalised text of the token before it."""

    def size(text: str) -> int:  # letters on both sides: normalizers that strip or prepend do it to them
        return len(normalizer.normalize_str(f"a{text}a"))

    alone, reach = size(own), len(gap)
    while reach and (more := size(own + gap[:reach]) - alone):
        reach -= max(1, more // LONGEST)  # behind a passage that was cut short there may be thousands
    return reach


def boundaries(tokens: pd.DataFrame) -> np.ndarray:
    """Positions where a token ends and the next does not reach back, as sorted passage * STRIDE + byte.

    Two tokens that split one character both cover it, so there is no boundary between them. A gap that a tokenizer
    leaves before a token (white space) belongs to that token; what normalisation left behind one is in its end already.
    """
    real = tokens[~tokens.special]
    passage, start, end = (real[column].to_numpy(np.int64) for column in ("passage", "start", "end"))
    reaches_back = (start[1:] < end[:-1]) & (passage[1:] == passage[:-1])
    reaches_back = np.append(reaches_back, False)[: len(end)]  # nothing follows the last
    return np.unique((passage * STRIDE + end)[(end > 0) & ~reaches_back])


def shared_units(token_tables: dict[str, pd.DataFrame], passages: pd.DataFrame, include_first: bool) -> pd.DataFrame:
    """Spans between consecutive boundaries that all tokenizers share.

    Returns one row per unit: unit, passage, doc, domain, start, end (bytes in the passage), text. The unit at the start
    of a passage holds every model's position 0 and is left out unless `include_first`.
    """
    ends, *others = [boundaries(table) for table in token_tables.values()]
    for other in others:
        ends = np.intersect1d(ends, other, assume_unique=True)
    passage, end = ends // STRIDE, ends % STRIDE
    first = begins_run(passage)
    start = np.where(first, 0, np.append(0, end)[:-1])
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
    """Unit index of every token, -1 for special tokens and for those outside all units."""
    end = (tokens.passage * STRIDE + tokens.end).to_numpy(np.int64)
    unit_start = (units.passage * STRIDE + units.start).to_numpy(np.int64)
    unit_end = (units.passage * STRIDE + units.end).to_numpy(np.int64)
    slot = np.searchsorted(unit_end, end)
    inside = slot < len(unit_end)
    slot = np.minimum(slot, len(unit_end) - 1)
    # A gap before a token (white space trimmed from the offsets) may reach out of the unit, so the end decides.
    return np.where(inside & (unit_start[slot] < end) & ~tokens.special.to_numpy(bool), slot, -1)


def _probe_passages(documents_path: str, settings: Units) -> pd.DataFrame:
    documents = read_table(documents_path)
    return cut_passages(documents[documents.split == "probe"], settings.passage_bytes)


def align(documents_path: str, tokenizers: dict[str, str], settings: Units, out: str) -> None:
    """Write the units that the named tokenizers (name -> tokenizer.json) share on the probe documents."""
    passages = _probe_passages(documents_path, settings)
    tokens = {name: tokenize(load_tokenizer(path), passages, settings.max_tokens) for name, path in tokenizers.items()}
    units = shared_units(tokens, passages, settings.include_first)
    log.info(
        "%s units of %.1f bytes on %s passages",
        f"{len(units):,}",
        (units.end - units.start).mean(),
        f"{len(passages):,}",
    )
    write_checked_table(out, units, UNITS)


def index_tokens(documents_path: str, units_path: str, tokenizer_path: str, settings: Units, *, out: str) -> None:
    """Write the tokens of one tokenizer on the probe documents, each with its unit (-1: none)."""
    tokens = tokenize(load_tokenizer(tokenizer_path), _probe_passages(documents_path, settings), settings.max_tokens)
    tokens["unit"] = unit_of_tokens(tokens, read_table(units_path))
    write_checked_table(out, tokens, TOKENS)
