"""What activity tells about classes by direct computations and known constructions; families at their thresholds."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from rosetta_scaling.selectivity.information import (
    PILE_TYPES,
    by_class,
    class_selectivity,
    document_types,
    entropy,
    information,
    normalised_firing,
    shuffled_information,
)
from rosetta_scaling.selectivity.kinds import FAMILIES, families

ONE_CLASS, ALL_ALIKE = [0.0, 0.0, 7.0], [1.0, 2.0, 5.0]  # sums where classes have the shares below
SHARE = np.array([0.125, 0.25, 0.625])


@st.composite
def activities(draw):
    """Sums (classes, neurons), some of them zero, and shares of the classes."""
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    sums = draw(arrays.arrays(float, shape, elements=st.sampled_from([0, 0, 1e-6, 0.5, 1, 3, 1e5])))
    units = draw(arrays.arrays(int, shape[0], elements=st.integers(1, 1000)))
    return sums, units / units.sum()


# -- information -----------------------------------------------------------------------------------------------------


def test_information_is_the_divergence_of_the_classes_of_counts_from_those_of_units():
    rng = np.random.default_rng(0)
    kind, counts = rng.integers(0, 5, 400), rng.poisson(0.7, (400, 6))
    counts[:, 5] *= kind == 2
    sums = np.array([counts[kind == code].sum(0) for code in range(5)])
    share = np.bincount(kind) / len(kind)
    for neuron, found in enumerate(information(sums, share)):
        classes_of_counts = np.repeat(kind, counts[:, neuron])
        p = np.bincount(classes_of_counts, minlength=5) / len(classes_of_counts)
        assert found == pytest.approx(stats.entropy(p, share, base=2))


def mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """In bits, from the table of how often each pair of values occurs."""
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1)
    joint /= joint.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    there = joint > 0
    return float((joint[there] * np.log2(joint[there] / independent[there])).sum())


def test_information_is_the_mutual_information_per_count_of_rare_binary_counts():
    """Firing 0 or 1 in units, 3 of 2^18 on average; and in no others a count tells what its absence does not."""
    kind = np.repeat([0, 1, 2], [2**15, 2**16, 5 * 2**15])
    fires = np.zeros(len(kind), int)
    for code, number in enumerate([16, 4, 12]):
        fires[np.flatnonzero(kind == code)[:number]] = 1
    sums = np.bincount(kind, fires)[:, None]
    per_count = mutual_information(kind, fires) / fires.mean()
    assert per_count > 0.3
    assert information(sums, SHARE)[0] == pytest.approx(per_count, rel=2e-3)


def test_information_of_known_neurons():
    found = information(np.array([ALL_ALIKE, ONE_CLASS, [7.0, 0, 0], [0.0, 0, 0], [1.0, 1, 0]]).T, SHARE)
    half = 0.5 * np.log2(0.5 / 0.125) + 0.5 * np.log2(0.5 / 0.25)
    np.testing.assert_allclose(found, [0, -np.log2(0.625), 3, np.nan, half], atol=1e-12)


@settings(max_examples=100)
@given(activity=activities(), scale=st.sampled_from([1e-8, 3.0, 1e8]))
def test_information_is_bounded_and_ignores_the_scale(activity, scale):
    sums, share = activity
    found = information(sums, share)
    np.testing.assert_array_equal(np.isnan(found), (sums.sum(0) == 0) | (len(share) == 1))
    real = found[~np.isnan(found)]
    assert (real >= -1e-12).all()
    assert (real <= -np.log2(share.min()) + 1e-12).all()
    np.testing.assert_allclose(information(sums * scale, share), found, atol=1e-12)


# -- entropy and selectivity -----------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(activity=activities())
def test_entropy_and_selectivity_are_those_of_mean_activities(activity):
    sums, share = activity
    for neuron in range(sums.shape[1]):
        means = sums[:, neuron] / share
        found = entropy(sums, share)[neuron], class_selectivity(sums, share)[neuron]
        if means.sum() == 0:
            assert np.isnan(found).all()
            continue
        assert found[0] == pytest.approx(stats.entropy(means, base=2), abs=1e-9)
        if len(means) == 1:
            continue
        best = means.argmax()
        others = np.delete(means, best).mean()
        assert found[1] == pytest.approx((means[best] - others) / (means[best] + others), abs=1e-9)
    assert len(share) > 1 or np.isnan(class_selectivity(sums, share)).all()


def test_entropy_and_selectivity_of_known_neurons():
    sums = np.array([ALL_ALIKE, ONE_CLASS, [1.0, 2.0, 0]]).T
    np.testing.assert_allclose(entropy(sums, SHARE), [np.log2(3), 0, 1], atol=1e-12)
    np.testing.assert_allclose(class_selectivity(sums, SHARE), [0, 1, 1 / 3], atol=1e-12)


def test_classes_without_units_have_no_activity():
    sums, share = np.array([[1.0], [0], [3]]), np.array([0.5, 0, 0.5])
    assert entropy(sums, share)[0] == pytest.approx(entropy(sums[[0, 2]], share[[0, 2]])[0])
    assert information(sums, share)[0] == pytest.approx(information(sums[[0, 2]], share[[0, 2]])[0])


# -- the null of documents -------------------------------------------------------------------------------------------


def test_classes_are_summed_over_their_blocks():
    sums, share = by_class(np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([10, 20, 10]), np.array([1, 0, 1]))
    np.testing.assert_array_equal(sums, [[3, 4], [6, 8]])
    np.testing.assert_array_equal(share, [0.5, 0.5])


DOMAIN = np.repeat([0, 1, 2, 3], 16)
UNITS = np.full(64, 50)


def test_p_values_are_uniform_under_the_null():
    activity = np.random.default_rng(1).gamma(0.3, 1, (64, 2000))
    null, p = shuffled_information(activity, UNITS, DOMAIN, 199, rng=np.random.default_rng(2))
    assert p.min() > 0
    assert p.max() <= 1
    assert p.mean() == pytest.approx(0.5, abs=0.03)
    assert stats.kstest(p, "uniform").statistic < 0.05
    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() == pytest.approx(level, abs=0.02)
    real = information(*by_class(activity, UNITS, DOMAIN))
    assert null.mean() == pytest.approx(real.mean(), rel=0.02)
    assert real.mean() > 0.05, "what is told by chance is not nothing"


def test_one_block_makes_no_domain_neuron_but_all_blocks_of_a_domain_do():
    activity = np.full((64, 3), 0.01)
    activity[5, 0], activity[DOMAIN == 2, 1], activity[np.flatnonzero(DOMAIN == 2)[:2], 2] = 1000, 10, 500
    real = information(*by_class(activity, UNITS, DOMAIN))
    null, p = shuffled_information(activity, UNITS, DOMAIN, 400, rng=np.random.default_rng(0))
    assert real.min() > 1.9, "each is of one domain by its counts"
    assert p[0] == 1, "a single block is always in one domain"
    assert p[1] == pytest.approx(1 / 401)
    assert 0.1 < p[2] < 0.35, "two blocks are in one domain by chance in 15 of 63 cases"
    assert null[0] == pytest.approx(real[0])
    assert null[1] < 0.2


def test_p_values_equal_those_of_all_permutations():
    rng = np.random.default_rng(3)
    activity, units, domain = rng.gamma(1, 1, (5, 50)), np.array([30, 10, 30, 20, 20]), np.array([0, 0, 0, 0, 1])
    real = information(*by_class(activity, units, domain))
    drawn = [information(*by_class(activity, units, np.array(one))) for one in itertools.permutations(domain)]
    exact = (np.array(drawn) >= real - 1e-12).mean(0)
    null, p = shuffled_information(activity, units, domain, 3000, rng=np.random.default_rng(4))
    assert len(np.unique(exact.round(6))) == 5, "one for every block that may be alone"
    np.testing.assert_allclose(p, exact, atol=0.04)
    np.testing.assert_allclose(null, np.mean(drawn, 0), atol=0.02)


def test_what_is_as_informative_in_every_draw_is_not_significant():
    constant = np.outer(UNITS, np.random.default_rng(5).random(20))
    _, p = shuffled_information(constant, UNITS, DOMAIN, 50, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(p, 1)


def test_neurons_without_activity_have_no_p_value():
    null, p = shuffled_information(np.zeros((64, 1)), UNITS, DOMAIN, 20, rng=np.random.default_rng(0))
    assert np.isnan(null[0])
    assert np.isnan(p[0])


def test_the_same_seed_gives_the_same_draws():
    activity = np.random.default_rng(6).random((64, 4))
    one, other, third = (
        shuffled_information(activity, UNITS, DOMAIN, 30, rng=np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one[0], third[0])


# -- firing in contexts ----------------------------------------------------------------------------------------------


def test_normalised_firing_by_a_plain_loop():
    rng = np.random.default_rng(0)
    kind = rng.choice(3, 200, p=[0.6, 0.3, 0.1])
    contexts = pd.DataFrame({"neuron": rng.choice([0, 1, 3], 90), "unit": rng.integers(0, 200, 90)})
    found = normalised_firing(contexts, kind, 4, 5)
    assert found.shape == (4, 5)
    for code, neuron in itertools.product(range(3), range(5)):
        units = contexts.unit[contexts.neuron == neuron]
        if neuron in (2, 4):
            assert np.isnan(found[code, neuron])
        else:
            share = sum(kind[unit] == code for unit in units) / len(units)
            assert found[code, neuron] == pytest.approx(share / (kind == code).mean())
    assert np.isnan(found[3]).all(), "a class without units"


def test_normalised_firing_does_not_depend_on_the_index_of_contexts():
    contexts = pd.DataFrame({"neuron": [0, 0], "unit": [1, 1]}, index=[7, 7])
    np.testing.assert_allclose(normalised_firing(contexts, np.array([0, 1]), 2, 1), [[0], [2]])


def test_normalised_firing_of_random_contexts_is_one_on_average():
    rng = np.random.default_rng(1)
    kind = rng.choice(3, 5000, p=[0.7, 0.2, 0.1])
    contexts = pd.DataFrame({"neuron": np.repeat(np.arange(2000), 20), "unit": rng.integers(0, 5000, 40000)})
    np.testing.assert_allclose(normalised_firing(contexts, kind, 3, 2000).mean(1), 1, atol=0.05)


THE_PILE = """Pile-CC, PubMed Central, Books3, OpenWebText2, ArXiv, Github, FreeLaw, StackExchange, USPTO Backgrounds,
PubMed Abstracts, Gutenberg (PG-19), OpenSubtitles, Wikipedia (en), DM Mathematics, Ubuntu IRC, BookCorpus2, EuroParl,
HackerNews, YoutubeSubtitles, PhilPapers, NIH ExPorter, Enron Emails""".replace("\n", " ").split(", ")


def test_every_subset_of_the_pile_has_one_of_five_types():
    assert len(THE_PILE) == 22
    types = document_types(THE_PILE)
    assert set(types) == {"code", "math", "formal", "prose", "conversation"}
    assert dict(zip(THE_PILE, types, strict=True))["Github"] == "code"
    named = [subset for subsets in PILE_TYPES.values() for subset in subsets]
    assert sorted(named) == sorted(THE_PILE), "each once"


def test_types_keep_the_order_of_domains_and_other_domains_are_their_own():
    assert document_types(["ArXiv", "DM Mathematics", "HackerNews", "ArXiv"]) == [
        "formal",
        "math",
        "conversation",
        "formal",
    ]
    assert document_types(["licences", "Github"]) == ["licences", "Github"]
    assert document_types(["de", "en"]) == ["de", "en"]


# -- families --------------------------------------------------------------------------------------------------------

NONE = {  # a neuron of no family
    "maximum": 1.0,
    "fraction_active": 0.5,
    "unigram_r2": 0.1,
    "previous_r2": 0.05,
    "token_r2": 0.02,
    "position_r2": 0.05,
    "domain_r2": 0.05,
    "domain_p": 0.5,
    "vocab_kurtosis_folded": 1.0,
    "vocab_skewness_folded": 0.5,
}
CASES = [
    ({}, ()),
    ({"maximum": 0.0}, ("dead",)),
    ({"maximum": -0.5}, ("dead",)),
    ({"maximum": 1e-9}, ()),
    ({"fraction_active": 0.95}, ("always_on",)),
    ({"fraction_active": 0.9499}, ()),
    ({"unigram_r2": 0.25}, ("unigram",)),
    ({"unigram_r2": 0.2499}, ()),
    ({"previous_r2": 0.1}, ("previous_token",)),
    ({"previous_r2": 0.0999}, ()),
    ({"previous_r2": 0.3, "token_r2": 0.3}, ()),
    ({"previous_r2": 0.3, "token_r2": 0.2999}, ("previous_token",)),
    ({"previous_r2": 0.3, "token_r2": 0.4}, ()),
    ({"position_r2": 0.1}, ("position",)),
    ({"position_r2": 0.0999}, ()),
    ({"domain_r2": 0.1, "domain_p": 0.05}, ("domain",)),
    ({"domain_r2": 0.0999, "domain_p": 0.05}, ()),
    ({"domain_r2": 0.1, "domain_p": 0.0501}, ()),
    ({"vocab_kurtosis_folded": 7.01}, ("prediction",)),
    ({"vocab_kurtosis_folded": 7.0}, ()),
    ({"vocab_kurtosis_folded": 7.01, "vocab_skewness_folded": -0.01}, ("suppression",)),
    ({"vocab_kurtosis_folded": 7.0, "vocab_skewness_folded": -1.0}, ()),
    ({"vocab_kurtosis_folded": 50.0, "vocab_skewness_folded": 0.0}, ()),
    (
        {"unigram_r2": 0.9, "position_r2": 0.5, "fraction_active": 1.0, "vocab_kurtosis_folded": 9.0},
        ("always_on", "unigram", "position", "prediction"),
    ),
    (dict.fromkeys(NONE, np.nan), ()),
]


def test_families_on_both_sides_of_every_threshold():
    table = pd.DataFrame([NONE | changed for changed, _ in CASES])
    found = families(table)
    assert tuple(found.columns) == FAMILIES[:-1], "the last is of images"
    for row, (changed, expected) in zip(found.to_dict("records"), CASES, strict=True):
        assert tuple(name for name in found if row[name] == 1) == expected, changed
    unknown = found.isna().any()
    assert unknown[unknown].index.tolist() == ["prediction", "suppression"], "only where there is no unembedding"


def test_families_follow_the_rows_of_the_table():
    table = pd.DataFrame([NONE, NONE | {"maximum": 0.0}], index=[5, 2])
    assert families(table).dead.to_dict() == {5: False, 2: True}


def test_a_dead_neuron_is_not_always_on():
    rng = np.random.default_rng(0)
    activation = rng.standard_normal((300, 4)) - [[0, 9, -9, 0]]
    measured = {"maximum": activation.max(0), "fraction_active": (activation > 0).mean(0)}
    found = families(pd.DataFrame([NONE] * 4).assign(**measured))
    assert found.dead.tolist() == [False, True, False, False]
    assert found.always_on.tolist() == [False, False, True, False]
