"""A language model of bytes: interpolated n-grams up to five bytes, with hashed counts."""

import numpy as np

ORDER = 5
BITS = 20  # of hashes: a megabyte of text collides in a tenth of the entries of the longest n-grams at most
PRIOR = 2.0  # weight of the shorter context, in occurrences of the longer one
BETWEEN = b"\n" * ORDER  # before every text, so that no n-gram reaches over two


class ByteModel:
    """Counts of n-grams in some texts.

    >>> model = ByteModel(["abababab" * 20])
    >>> bool(model.log_probabilities(["ababab"])[0] > model.log_probabilities(["bbaabb"])[0])
    True
    """

    def __init__(self, texts: list[str]):
        """texts: at least one."""
        hashes, inside, _ = _hashes(texts)
        self.counts = [np.bincount(of_order[inside], minlength=2**BITS) for of_order in hashes[1:]]
        contexts = [_before(of_order)[inside] for of_order in hashes[:-1]]
        self.contexts = [np.bincount(of_order, minlength=2**BITS) for of_order in contexts]

    def log_probabilities(self, texts: list[str]) -> np.ndarray:
        """Mean natural logarithm of the probability of a byte, for every text (texts,)."""
        hashes, inside, owner = _hashes(texts)
        probability = np.full(inside.sum(), 1 / 256)
        for order in range(ORDER):
            seen = self.counts[order][hashes[order + 1][inside]]
            context = self.contexts[order][_before(hashes[order])[inside]]
            probability = (seen + PRIOR * probability) / (context + PRIOR)
        sums = np.bincount(owner[inside], weights=np.log(probability), minlength=len(texts))
        return sums / np.maximum(1, np.bincount(owner[inside], minlength=len(texts)))


def _hashes(texts: list[str]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Hash of the 0, 1, ... ORDER bytes that end at every byte; which bytes are text; and the text of every byte."""
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(BETWEEN + one for one in encoded), np.uint8)
    lengths = np.array([len(one) for one in encoded])
    owner = np.repeat(np.arange(len(texts)), lengths + ORDER)
    starts = np.cumsum(lengths + ORDER) - lengths
    inside = np.arange(len(data)) >= starts[owner]
    value = np.zeros(len(data), np.uint32)
    made = []
    for _ in range(ORDER + 1):
        made.append((value * np.uint32(2654435761) >> np.uint32(32 - BITS)).astype(np.int32))  # Knuth's constant
        value = _before(value) * np.uint32(16777619) + data + np.uint32(1)
    return made, inside, owner


def _before(values: np.ndarray) -> np.ndarray:
    """The value at the byte before; what stands at the first byte does not matter, since no text begins there."""
    return np.roll(values, 1)
