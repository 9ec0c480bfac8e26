"""Tables of units made up from random numbers."""

import numpy as np
import pandas as pd

TEXTS = [*"xabcdefgh", " x", "Xx", "ü"]


def unit_table(documents: int = 40, domains: int = 3, seed: int = 0, longest: int = 40) -> pd.DataFrame:
    """Units of documents of uneven length, in passages of 1 to 30 units, with gaps, and few frequent texts."""
    rng, rows, passage = np.random.default_rng(seed), [], -1
    for doc in range(documents):
        left = 0
        for _ in range(rng.integers(1, longest)):
            if left == 0:
                passage, left, end = passage + 1, rng.integers(1, 30), int(rng.integers(0, 5))
            start = end + (2 if rng.random() < 0.1 else 0)
            text = TEXTS[min(rng.geometric(0.3) - 1, len(TEXTS) - 1)]
            end = start + len(text.encode())
            rows.append((passage, 7 * doc + 3, f"d{doc % domains}", start, end, text))
            left -= 1
    table = pd.DataFrame(rows, columns=["passage", "doc", "domain", "start", "end", "text"])
    return table.rename_axis("unit").reset_index()
