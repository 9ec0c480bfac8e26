"""Operating characteristics at the sizes of the study `ladder`, by the rules of the claims themselves."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rosetta_scaling import WORKFLOW
from rosetta_scaling.claims.decisions import LEVEL, SMALL_POWER
from rosetta_scaling.claims.power import PAPER, SIZES, operating_characteristics, strictest, with_power
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, SUPPORTED, Claim
from rosetta_scaling.config.parsing import load
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.schemas.tables.fits import POWER
from rosetta_scaling.stages.claims import planned_sizes

DRAWS = 60
NAMES = {"metric": "vocab_kurtosis", "chosen": "mutual_top1", "domain": "code"}
WEAK = ("The difference in selectivity", "With size, Rosetta neurons fire", "The mean isolation")  # say so themselves


@cache
def sizes() -> pd.DataFrame:
    return planned_sizes(StudyPlan(Layout(load(WORKFLOW / "studies/ladder.yaml"), corpus_key="k")))


@cache
def found() -> pd.DataFrame:
    return operating_characteristics(sizes(), **NAMES, draws=DRAWS)


def test_sizes_are_those_of_the_configuration():
    table = sizes()
    assert list(table.columns) == SIZES
    assert len(table) == 4 * 5 + 2 * 3
    assert list(table.neurons[table.curve == "neox-bloom"]) == [192, 384, 768, 1536, 3072]


@pytest.mark.slow(2)
def test_no_main_claim_is_falsely_supported_in_more_than_five_per_cent():
    table = found()
    POWER.check(table)
    null = table[table.truth == "null"]
    assert len(null) == 10
    most = stats.binom.ppf(0.999, DRAWS, LEVEL) / DRAWS  # what luck makes of 5%
    assert (null.supported <= most).all()
    assert null.supported.mean() <= LEVEL
    np.testing.assert_allclose(table[["supported", "not_supported", "inconclusive"]].sum(axis=1), 1)


@pytest.mark.slow(2)
def test_every_main_claim_is_supported_where_its_effect_is_there_or_says_that_it_cannot_be():
    paper = found().query("truth == 'paper'")
    weak = paper.claim.str.startswith(WEAK)
    assert (paper.supported[~weak] >= SMALL_POWER).all()
    assert (paper.not_supported <= LEVEL).all()
    open_claim = Claim(
        words=paper.claim[weak].iloc[0], source="s", verdict=INCONCLUSIVE, statistic="", sentence="t.", main=True
    )
    (said,) = with_power([open_claim], found())
    assert said.power == paper.supported[weak].iloc[0]
    assert f"supports the paper's effect with probability {said.power:.2f}" in said.sentence


@pytest.mark.slow(0.1)
def test_the_same_seed_gives_the_same_table_and_fewer_sizes_less_power():
    once = operating_characteristics(sizes(), **NAMES, draws=2, seed=1)
    pd.testing.assert_frame_equal(once, operating_characteristics(sizes(), **NAMES, draws=2, seed=1))
    few = operating_characteristics(sizes()[sizes().curve == "neox-neox2"], **NAMES, draws=3)
    assert (few[few.truth == PAPER].supported.iloc[1:] < SMALL_POWER).all()


def test_the_strictest_that_holm_can_ask_is_the_level_over_the_number_of_main_claims():
    claim = Claim(words="w", source="s", verdict=SUPPORTED, statistic="", sentence="", p=0.0051)
    assert strictest(claim) == INCONCLUSIVE
    assert strictest(claim, 9) == SUPPORTED
