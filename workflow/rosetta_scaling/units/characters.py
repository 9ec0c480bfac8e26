"""Characters as a reader sees them: a letter with its marks, a syllable of jamo, an emoji of several parts.

They are the extended grapheme clusters of Unicode (UAX #29), and every combining mark goes with what stands before it:
a few marks, of Burmese for one, begin a cluster of their own.
"""

import numpy as np
import regex

CHARACTER = regex.compile(r"\X(?<![\n\t])\p{M}*|\X")


def is_boundary(text: str) -> np.ndarray:
    """Whether a whole character begins or ends at every position of `text`, shape (code points + 1,)."""
    found = np.ones(len(text) + 1, bool)
    if not text.isascii():
        found[:-1] = False
        found[[match.start() for match in CHARACTER.finditer(text)]] = True
    return found
