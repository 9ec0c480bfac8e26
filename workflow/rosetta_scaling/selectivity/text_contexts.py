"""The text around units: as windows to read, as features to learn from, as embeddings to compare."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from rosetta_scaling.numerics.runs import begins_run
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining, reason_of

COLUMNS = 2**12  # of hashed features: a quarter as many cost 0.005 of detection AUC, four times as many gain 0.001
WORD = re.compile(r"\w+")


def windows(units: pd.DataFrame, chosen: np.ndarray, before: int = 48, after: int = 16) -> list[str]:
    """Text around every chosen unit: whole units that fit in `before` bytes, the unit, those that fit in `after`.

    `units` has columns passage, start, end (bytes in the passage) and text; units of a passage stand together, in
    order. `chosen` holds rows of `units`, in any order. A window ends where its passage does.
    """
    end = np.cumsum((units.end - units.start).to_numpy())  # in the bytes of all units, one after the other
    start = np.append(0, end[:-1])
    passage = units.passage.to_numpy()
    opens = np.flatnonzero(begins_run(passage))
    closes = np.append(opens[1:], len(units))
    own = np.searchsorted(opens, chosen, side="right") - 1
    first = np.maximum(np.searchsorted(start, start[chosen] - before), opens[own])
    stop = np.minimum(np.searchsorted(end, end[chosen] + after, side="right"), closes[own])
    text, characters = "".join(units.text), np.append(0, np.cumsum(units.text.str.len()))
    return [text[i:j] for i, j in zip(characters[first].tolist(), characters[stop].tolist(), strict=True)]


def features(units: pd.DataFrame, chosen: np.ndarray) -> csr_matrix:
    """What the text says up to every chosen unit, as sparse rows (chosen, COLUMNS) of hashed features.

    Three blocks of unit length: the unit with its 1- to 3-grams of characters, the two units before it and its place in
    the passage, and the words of its window. A causal network has not read what follows.
    """
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.preprocessing import normalize

    text, passage = units.text.to_numpy(object), units.passage.to_numpy()
    opens = begins_run(passage)
    depth = chosen - np.maximum.accumulate(np.where(opens, np.arange(len(units)), 0))[chosen]  # units before it
    one, two = (np.where(depth >= back, text[chosen - back], "") for back in (1, 2))
    blocks = (
        [_spelling(unit) for unit in text[chosen]],
        [_left(*before) for before in zip(text[chosen], one, two, depth.tolist(), strict=True)],
        [[f"word {word}" for word in set(WORD.findall(window.lower()))] for window in windows(units, chosen, after=0)],
    )
    hasher = FeatureHasher(COLUMNS, input_type="string", alternate_sign=False)
    return csr_matrix(sum(normalize(hasher.transform(block)) for block in blocks))


def _spelling(unit: str) -> list[str]:
    """Features of a unit by itself."""
    marked = f"^{unit}$"
    grams = [f"gram {marked[i : i + n]}" for n in (1, 2, 3) for i in range(len(marked) - n + 1)]
    return [f"unit {unit}", f"folded {unit.strip().lower()}", *grams]


def _left(unit: str, one: str, two: str, depth: int) -> list[str]:
    """Features of the units before a unit; `depth` units of the passage stand before it."""
    place = min(3, depth.bit_length())  # first, second, third or fourth, later
    single = [f"last {one}", f"folded last {one.strip().lower()}", f"second {two}"]
    return [*single, f"pair {one}|{unit}", f"before {two}|{one}", f"place {place}"]


def embeddings(units: pd.DataFrame, chosen: np.ndarray, embedding: str, device: str) -> np.ndarray:
    """Embeddings (chosen, dim) of the windows around units; see `embed`."""
    return embed(windows(units, chosen), embedding, device)


def embed(texts: list[str], embedding: str, device: str = "cpu") -> np.ndarray:
    """Embeddings (texts, dim) float32 of unit length; a row of zeros where the text is empty.

    `embedding` is "wordllama", word vectors inside the package of that name, or a sentence-transformers model, by name
    or folder. Nothing is subtracted: the mean of unit-length wordllama vectors over a probe corpus has length 0.2.
    Raises StudyError when the model or the library that reads it is not there.
    """
    vectors = _wordllama(texts) if embedding == "wordllama" else _sentence_transformer(texts, embedding, device)
    vectors = vectors.astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    length[length == 0] = 1
    return vectors / length * np.array([[text != ""] for text in texts], np.float32)


def _wordllama(texts: list[str]) -> np.ndarray:
    import wordllama

    folder = Path(wordllama.__file__).parent  # without it the loader overlooks the tokenizer that it ships
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True).embed(texts, norm=False)


def _sentence_transformer(texts: list[str], name: str, device: str) -> np.ndarray:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise StudyError(
            f"the embedding {name} needs the package sentence-transformers, which is not installed; "
            "run .venv/bin/pip install sentence-transformers, or choose wordllama"
        ) from None
    with explaining(
        lambda error: (
            f"the embedding {name} cannot be loaded ({reason_of(error)}); expected a folder or a downloaded "
            "model of sentence-transformers: correct the name, download the model first, or choose wordllama"
        )
    ):
        model = SentenceTransformer(name, device=device)
    return model.encode(texts, show_progress_bar=False, convert_to_numpy=True)
