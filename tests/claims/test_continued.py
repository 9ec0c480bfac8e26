"""The claim about further training says yes where more Rosetta neurons stay, and no where as many do."""

import numpy as np
import pandas as pd
import pytest
from schema_rows import rows_of

from rosetta_scaling.claims.continued import judge_continued
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED
from rosetta_scaling.schemas.tables.continued import CONTINUED


def table(difference: float, seed: int, networks: int = 5, error: float = 0.01) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    value = difference + rng.normal(0, error, networks) + rng.normal(0, error, networks)
    return rows_of(
        CONTINUED,
        networks,
        anchor=[f"a-r{i}" for i in range(networks)],
        model=[f"b-r{i}" for i in range(networks)],
        fate="stays",
        set="first",
        rosetta=100,
        others=100,
        balanced=True,
        difference=value,
        difference_low=value - 1.96 * error,
        difference_high=value + 1.96 * error,
    )


def verdicts(difference: float, **more) -> list[str]:
    return [judge_continued(table(difference, seed, **more), "first")[0].verdict for seed in range(60)]


def test_it_says_yes_where_more_stay():
    assert verdicts(0.1).count(SUPPORTED) >= 57


@pytest.mark.parametrize("difference", [0.0, -0.1])
def test_it_says_no_where_as_many_or_fewer_stay(difference):
    found = verdicts(difference, error=0.004)
    assert found.count(SUPPORTED) <= 6, "one of forty studies of no difference, and its chance"
    assert found.count(NOT_SUPPORTED) >= 50


def test_what_cannot_be_told_is_inconclusive():
    assert verdicts(0.1, networks=2) == [INCONCLUSIVE] * 60, "two networks give no interval"
    unlike = table(0.1, 0).assign(balanced=False)
    (claim,) = judge_continued(unlike, "first")
    assert claim.verdict == INCONCLUSIVE
    assert "could not be made alike at 5 of 5 points" in claim.sentence
    others = pd.concat([table(0.1, 0), table(-0.5, 0).assign(fate="rises"), table(-0.5, 0).assign(set="second")])
    assert judge_continued(others, "first")[0].verdict == SUPPORTED, "other fates and sets have no vote"
