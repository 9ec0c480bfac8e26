"""Counts of what partial optimal transport matches, beside its null."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rosetta_scaling.numerics.intervals import of_excess
from rosetta_scaling.points.transport import transport_counts
from rosetta_scaling.schemas.tables.transport import COUNTED

DRAWS = ["rotate_pre0", "rotate_pre1", "rotate_pre2"]


def pairs(variant: str, *kinds: str) -> pd.DataFrame:
    """Pairs of neurons that are transported (t), mutual (m), or both."""
    rows = [{"variant": variant, "transported": "t" in kind, "mutual": "m" in kind} for kind in kinds]
    return pd.DataFrame(rows)


def test_a_row_counts_both_ways_of_matching_and_a_draw_without_pairs():
    found = pd.concat(
        [pairs("real", "tm", "tm", "tm", "t", "t", "m"), pairs(DRAWS[0], "tm", "t", "t"), pairs(DRAWS[2], "t", "m")]
    )
    row = transport_counts(found, DRAWS, 0.95)
    assert list(row) == COUNTED
    assert {name: row[name] for name in ("transported", "both", "mutual")} == {"transported": 5, "both": 3, "mutual": 4}
    assert [row[f"null_rotate_pre{end}"] for end in ("", "_low", "_high")] == pytest.approx([4 / 3, 0, 3])
    assert row["mutual_null"] == pytest.approx(2 / 3)
    assert row["excess"] == pytest.approx(5 - 4 / 3)
    half = stats.t.ppf(0.975, 2) * np.std([3, 0, 1], ddof=1) * (4 / 3) ** 0.5
    assert [row["excess_low"], row["excess_high"]] == pytest.approx([row["excess"] - half, row["excess"] + half])


def test_the_interval_of_an_excess_holds_zero_as_often_as_it_says_where_the_count_is_one_more_draw():
    rng = np.random.default_rng(0)
    found = [of_excess(row[0], row[1:], 0.9) for row in rng.normal(30, 5, (1000, 9))]
    assert np.mean([one.low <= 0 <= one.high for one in found]) == pytest.approx(0.9, abs=0.03)
