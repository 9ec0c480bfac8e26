"""Near-duplicate texts: MinHash finds the candidates, exact Jaccard similarity decides.

Broder, "On the resemblance and containment of documents" (1997); Leskovec et al., "Mining of Massive Datasets", ch. 3.
"""

import hashlib
import re

import numpy as np

PERMUTATIONS = 64
SHINGLE_WORDS = 5
WORD = re.compile(r"\w+")


def shingles(text: str) -> np.ndarray:
    """Sorted unique 32-bit hashes of all runs of five words; a shorter text is one shingle.

    The hash is fixed (blake2), so it does not depend on PYTHONHASHSEED or the platform.
    Languages written without spaces give few, long "words": there only closer copies are recognised.
    """
    words = [word.lower() for word in WORD.findall(text)] or [text]
    starts = range(max(1, len(words) - SHINGLE_WORDS + 1))
    digests = (hashlib.blake2b(" ".join(words[i : i + SHINGLE_WORDS]).encode(), digest_size=4).digest() for i in starts)
    return np.unique(np.frombuffer(b"".join(digests), dtype="<u4"))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """|a and b| / |a or b| of two sorted unique arrays."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


class NearDuplicates:
    """Remembers texts; `is_copy(text)` says whether one like it was seen before, and remembers it if not.

    datasketch is imported here, because it takes a second: whoever only wants the name of a corpus does without.
    """

    def __init__(self, threshold: float):
        """threshold: Jaccard similarity of the five-word shingles from which two texts are copies, 0-1."""
        from datasketch import MinHashLSH

        self.threshold = threshold
        # A missed pair cannot be repaired, a false candidate is thrown out below: hence the weight on recall.
        self.index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, weights=(0.1, 0.9))
        self.seen: list[np.ndarray] = []

    def is_copy(self, text: str) -> bool:
        from datasketch import MinHash

        own = shingles(text)
        sketch = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
        sketch.update_batch(own)
        if any(jaccard(own, self.seen[i]) >= self.threshold for i in self.index.query(sketch)):
            return True
        self.index.insert(len(self.seen), sketch)
        self.seen.append(own)
        return False
