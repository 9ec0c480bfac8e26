"""Claims about counts, judged on counts whose growth is known: each is supported, refuted, left open."""

import numpy as np
import pandas as pd
import pytest

from rosetta_scaling.claims.counts import judge_counts
from rosetta_scaling.claims.verdicts import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, Claim
from rosetta_scaling.schemas.nulls import NULLS

TOP1, TOP5 = "mutual_top1", "mutual_top5"
GROWS = "The Rosetta count grows as a sublinear power of model size"
RANGE = "The exponent is about 0.5 to 0.7"
SHARE = "The share of Rosetta neurons falls with size"
SHARED = "Neurons are shared beyond the decoys at the largest size"
BEYOND = "The number of shared neurons beyond the decoys grows as a sublinear power of model size"
EXCESS = f"The count beyond its largest null grows as a sublinear power of model size ({TOP1})"
CALIBRATED = f"The count that survives calibration grows as a sublinear power of model size ({TOP1})"
POOL = f"The count grows also among equally many neurons ({TOP1})"
ARTEFACT = f"The count is not an artefact of the matching ({TOP1})"
UNTRAINED = f"Matches are absent between networks that were never trained ({TOP1})"
SHUFFLED = f"Matches are absent between networks whose units are shuffled ({TOP1})"
TRAINED = "Larger networks of a family predict held-out text better"
NEURONS = 192 * 2.0 ** np.arange(5)
WOBBLE = np.array([1.03, 0.98, 0.97, 1.02, 1.0])
FAMILIES = {"ab": ("a", "b"), "cd": ("c", "d"), "ac": ("a", "c")}


def counts_of(alpha=0.6, beyond=0.6, part=1.0, criterion=TOP1, **columns) -> pd.DataFrame:
    """Three curves of five points whose counts, and numbers beyond the decoys, grow with these exponents."""
    tables = []
    for i, (curve, families) in enumerate(FAMILIES.items()):
        count = 30 * (NEURONS / 192) ** alpha * np.roll(WOBBLE, i)
        table = pd.DataFrame({"curve": curve, "neurons": NEURONS, "anchor_neurons": NEURONS, "count": count})
        table["point"] = [f"r{j}" for j in range(5)]
        table["models"] = [" ".join(f"{family}-r{j}" for family in families) for j in range(5)]
        table["beyond_decoys"] = part * 20 * (NEURONS / 192) ** beyond * np.roll(WOBBLE, i + 2)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True).assign(criterion=criterion, beyond_decoys_se=3.0, equal_n_count=20.0)
    table = table.assign(common_r=0.5, corrected=table.beyond_decoys, corrected_se=3.0)
    table = table.assign(count_low=0.95 * table["count"], count_high=1.05 * table["count"])
    table = table.assign(**{column: 0.0 for null in NULLS.values() for column in null.columns})
    table = table.assign(calibrated_05=np.round(table["count"] / 2)).assign(**columns)
    return table.assign(excess=table["count"] - table[[null.column for null in NULLS.values()]].max(axis=1))


def judged(counts: pd.DataFrame, bits=(3.0, 2.0, 2.5), modality="text") -> dict[str, Claim]:
    models = pd.DataFrame(
        {
            "family": "f",
            "source": "ladder",
            "modality": modality,
            "neurons": [1, 2, 3],
            "validation_loss": bits,
            "validation_bits_per_byte": bits,
        }
    )
    found = judge_counts({"counts": counts, "models": models}, list(counts.criterion.unique()))
    assert len({one.words for one in found}) == len(found)
    return {one.words: one for one in found}


@pytest.mark.parametrize(
    ("alpha", "grows", "share", "about"),
    [
        (0.6, SUPPORTED, SUPPORTED, SUPPORTED),
        (0.9, SUPPORTED, SUPPORTED, NOT_SUPPORTED),
        (1.2, NOT_SUPPORTED, NOT_SUPPORTED, NOT_SUPPORTED),
        (-0.3, NOT_SUPPORTED, SUPPORTED, NOT_SUPPORTED),
        (1.0, INCONCLUSIVE, INCONCLUSIVE, NOT_SUPPORTED),
        (0.8, SUPPORTED, SUPPORTED, INCONCLUSIVE),
    ],
)
def test_growth_is_judged_by_one_exponent(alpha, grows, share, about):
    found = judged(counts_of(alpha, beyond=alpha))
    assert [found[words].verdict for words in (GROWS, BEYOND, SHARE, RANGE)] == [grows, grows, share, about]
    assert found[GROWS].effect == pytest.approx(alpha, abs=0.03)
    assert all(one.main for one in (found[GROWS], found[BEYOND], found[SHARE], found[RANGE], found[SHARED]))
    for one in (found[GROWS], found[RANGE]):
        assert bool(one.reason) == bool(one.needs) == (one.verdict == INCONCLUSIVE)


def test_a_curve_of_three_points_has_no_veto():
    short = counts_of(-0.5).query("curve == 'ab' and neurons < 1000")
    short = short.assign(curve="short", models=[f"e-{i} f-{i}" for i in range(3)])
    found = judged(pd.concat([counts_of(0.6), short], ignore_index=True))
    alone = judged(short)
    assert alone[GROWS].verdict != SUPPORTED
    assert 0.3 < found[GROWS].effect < 0.6


def test_what_a_null_drowns_is_supported_by_no_claim_about_the_same_counts():
    counts = counts_of(0.6)
    found = judged(counts.assign(null_shift=1.02 * counts["count"]))
    for words in (GROWS, SHARE, RANGE):
        assert (found[words].verdict, found[words].reason) == (INCONCLUSIVE, "null")
        assert found[words].null == pytest.approx(0.6, abs=0.03)
        assert "a null gives as many" in found[words].sentence
    assert found[ARTEFACT].verdict != SUPPORTED
    assert found[BEYOND].verdict == SUPPORTED  # decoys are another null
    refuted = counts_of(1.2)
    assert judged(refuted.assign(null_shift=1.02 * refuted["count"]))[GROWS].verdict == NOT_SUPPORTED


@pytest.mark.parametrize(
    ("part", "se", "verdict"), [(1.0, 3.0, SUPPORTED), (0.0, 3.0, NOT_SUPPORTED), (0.3, 50.0, INCONCLUSIVE)]
)
def test_what_is_shared_at_all_is_there_excluded_or_open(part, se, verdict):
    found = judged(counts_of(part=part, beyond_decoys_se=se))[SHARED]
    assert found.verdict == verdict
    assert found.effect == pytest.approx(part * 20 * 16**0.6 / 3072, rel=0.05)


def test_nothing_beyond_the_decoys_grows_in_no_way():
    rng = np.random.default_rng(0)
    for _ in range(20):
        counts = counts_of(0.6)
        found = judged(counts.assign(corrected=rng.normal(0, 3, len(counts))))
        assert found[BEYOND].verdict != SUPPORTED


def test_zeros_and_negative_numbers_beyond_the_decoys_are_points_like_others():
    counts = counts_of(0.6)
    low = counts.corrected.where(counts.neurons > 200, -4.0)
    found = judged(counts.assign(corrected=low, corrected_se=10.0))[BEYOND]
    assert "15 points of" in found.sentence
    assert found.effect > 0.6


@pytest.mark.parametrize(("nulls", "verdict"), [(0.01, SUPPORTED), (0.5, NOT_SUPPORTED), (0.1, INCONCLUSIVE)])
def test_absent_means_surely_under_a_tenth(nulls, verdict):
    counts = counts_of(0.6)
    noisy = nulls * counts["count"] * np.resize([0.7, 1.0, 1.4], len(counts))
    found = judged(counts.assign(null_untrained=noisy, null_permute=noisy))
    assert found[UNTRAINED].verdict == found[SHUFFLED].verdict == verdict


@pytest.mark.parametrize(("ratio", "verdict"), [(0.3, SUPPORTED), (1.5, NOT_SUPPORTED), (1.0, INCONCLUSIVE)])
def test_an_artefact_is_a_null_of_trained_networks_as_large_as_the_count(ratio, verdict):
    counts = counts_of(0.6)
    found = judged(counts.assign(null_shift=ratio * counts["count"] * np.resize([0.9, 1.0, 1.1], len(counts))))
    assert found[ARTEFACT].verdict == verdict
    assert "about the criterion, not about the neurons" in found[ARTEFACT].caveat
    assert judged(counts.assign(null_untrained=9 * counts["count"]))[ARTEFACT].verdict == SUPPORTED


def test_fewer_pairs_at_equal_n_refute_nothing():
    counts = counts_of(0.6)
    size = counts.neurons / 192
    assert judged(counts.assign(equal_n_count=20 * size**-0.7))[POOL].verdict == INCONCLUSIVE
    found = judged(counts.assign(equal_n_count=20 * size**0.7))[POOL]
    assert found.verdict == SUPPORTED
    assert "a fall refutes nothing" in found.caveat


def test_excess_and_calibrated_counts_have_exponents_of_their_own():
    counts = counts_of(0.6)
    found = judged(counts.assign(calibrated_05=np.round(0.05 * counts.neurons**1.3)))
    assert found[EXCESS].verdict == SUPPORTED
    assert found[CALIBRATED].verdict == NOT_SUPPORTED
    assert not found[EXCESS].main


def test_every_criterion_is_judged_by_its_own_rows_and_the_first_is_the_main_one():
    found = judged(pd.concat([counts_of(0.6), counts_of(1.2, criterion=TOP5)], ignore_index=True))
    assert found[GROWS].verdict == SUPPORTED
    assert found[f"{GROWS} ({TOP5})"].verdict == NOT_SUPPORTED
    assert not found[f"{GROWS} ({TOP5})"].main


def test_how_well_networks_predict_is_judged_once_and_only_where_it_was_measured():
    for bits, expected in (((3.0, 2.0, 1.0), SUPPORTED), ((3.0, 2.0, 2.0), NOT_SUPPORTED)):
        assert judged(counts_of(), bits)[TRAINED].verdict == expected
    assert TRAINED not in judged(counts_of(), (np.nan,) * 3)
    assert judged(counts_of(), modality="image")["Larger networks of a family have a lower loss on held-out images"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "columns",
    [{"count": 0.0, "count_low": 0.0, "count_high": 0.0, "calibrated_05": 0.0, "equal_n_count": 0.0},
     {"count_low": np.nan, "count_high": np.nan, "beyond_decoys_se": np.nan},
     {"common_r": np.nan, "corrected": np.nan, "corrected_se": np.nan}, {"corrected": -5.0}, {"corrected_se": np.nan},
     {"beyond_decoys": np.nan}, {"beyond_decoys": -5.0}, {"beyond_decoys": 0.0, "beyond_decoys_se": 0.0},
     {"count": 1e15, "count_low": 1e15, "count_high": 1e15}, {"neurons": 192.0},
     {column: np.nan for null in NULLS.values() for column in null.columns}],
)  # fmt: skip
def test_odd_counts_leave_claims_open_and_raise_nothing(columns):
    found = judged(counts_of().assign(**columns))
    for one in found.values():
        assert "nan" not in one.statistic
    judged(counts_of().assign(**columns).iloc[:2])
    assert judged(counts_of().iloc[:3])[RANGE].verdict == INCONCLUSIVE
