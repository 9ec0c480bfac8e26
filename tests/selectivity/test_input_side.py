"""Input-side metrics against direct computations on all activations, and on neurons made to have a known value."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from running_statistics import state_of
from scipy import stats
from unit_tables import unit_table

from rosetta_scaling.activations.statistics import BINS, SAMPLED
from rosetta_scaling.selectivity import information as specialisation
from rosetta_scaling.selectivity.input_side import (
    bin_edges,
    explained,
    gini,
    input_metrics,
    share_above,
    sparsity,
    unigram,
)
from rosetta_scaling.units.labels import label_units

TABLE = unit_table(documents=150, seed=1, longest=60)
LABELS = label_units(TABLE, 6)
UNITS = len(TABLE)
DOMAIN = LABELS.block_domain[LABELS.block]
SHUFFLES = 60
SPECIAL = ["constant", "zero", "negative", "far", "one_hot", "below_zero"]


def neurons(seed: int = 0) -> pd.DataFrame:
    """(units, neurons) of float32, in columns that say what is known of them."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((UNITS, 12))
    fires = rng.random(UNITS) < 0.03
    columns = {
        "gaussian": normal[:, 0],
        "far": 1000 + normal[:, 1],
        "heavy": rng.standard_t(6, UNITS),
        "sparse": np.where(fires, 1 + np.abs(normal[:, 2]), 0),
        "noisy_sparse": np.where(fires, 3 + normal[:, 3], 0.1 * normal[:, 4]),
        "uniform": rng.random(UNITS) - 0.5,
        "negative": -np.abs(normal[:, 5]),
        "below_zero": np.full(UNITS, -7.123),
        "constant": np.full(UNITS, 0.3),
        "zero": np.zeros(UNITS),
        "one_hot": 5.0 * (np.arange(UNITS) == 10 * SAMPLED),
        "text": 2.0 * (TABLE.text == LABELS.texts[1]),
        "not_text": -2.0 * (TABLE.text == LABELS.texts[1]),
        "previous": 1.5 * (LABELS.previous == 2),
        "position": np.maximum(LABELS.position - 3.0, 0),
        "domain": np.abs(normal[:, 6]) + 4 * (DOMAIN == 1),
        "half_domain": np.abs(normal[:, 7]) + 2 * (DOMAIN == 2),
        "block": np.where(LABELS.block == 3, 5 + np.abs(normal[:, 8]), 0.01),
        "rare": 2.0 * (LABELS.text == len(LABELS.texts)),
    }
    return pd.DataFrame(columns).astype(np.float32)


def metrics(values: pd.DataFrame, cuts=(300, 1000, 1001), labels=LABELS, seed=0) -> pd.DataFrame:
    """The table of these neurons, with their names."""
    table = input_metrics(state_of(torch.tensor(values.to_numpy()), cuts, labels=labels), labels, SHUFFLES, seed)
    return table.set_index(values.columns)


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    return neurons()


@pytest.fixture(scope="module")
def found(values) -> pd.DataFrame:
    return metrics(values)


# -- moments ---------------------------------------------------------------------------------------------------------


def test_moments_are_those_of_scipy(values, found):
    d = values.to_numpy(float)
    varied = ~values.columns.isin(["constant", "zero", "below_zero"])
    close = {"rtol": 2e-3, "atol": 2e-3}  # a chunk is summed in float32
    np.testing.assert_allclose(found["mean"], d.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.variance, d.var(0), rtol=2e-4, atol=1e-12)
    np.testing.assert_allclose(found.skewness[varied], stats.skew(d[:, varied]), **close)
    np.testing.assert_allclose(found.activation_kurtosis[varied], stats.kurtosis(d[:, varied]), **close)
    assert found[["skewness", "activation_kurtosis"]][~varied].isna().all(axis=None)
    np.testing.assert_array_equal(found.maximum, d.max(0))
    for domain, code in (("d0", 0), ("d1", 1), ("d2", 2)):
        np.testing.assert_allclose(found[f"mean_{domain}"], d[code == DOMAIN].mean(0), rtol=1e-4, atol=1e-4)


def test_moments_of_known_neurons(found):
    assert found.activation_kurtosis["gaussian"] == pytest.approx(0, abs=0.2)
    assert found.activation_kurtosis["uniform"] == pytest.approx(-1.2, abs=0.05)
    assert found.activation_kurtosis["far"] == pytest.approx(0, abs=0.2)
    assert found.variance["far"] == pytest.approx(1, abs=0.05)
    p = 1 / UNITS
    assert found.activation_kurtosis["one_hot"] == pytest.approx(1 / (p * (1 - p)) - 6, rel=1e-3)
    assert found.skewness["one_hot"] == pytest.approx((1 - 2 * p) / np.sqrt(p * (1 - p)), rel=1e-3)
    assert found.variance[["constant", "zero", "below_zero"]].tolist() == [0, 0, 0]


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 1e3, 1e7])
def test_only_moments_know_the_scale(values, found, scale):
    with_scale = ["mean", "variance", "maximum", "mean_d0", "mean_d1", "mean_d2"]
    scaled = metrics((values.astype(float) * scale).astype(np.float32))
    few = values.columns[values.nunique() < 100]
    pd.testing.assert_index_equal(scaled.columns, found.columns)
    text = scaled.pop("unigram_text")
    assert text[found.unigram_r2 > 1e-3].equals(found.unigram_text[found.unigram_r2 > 1e-3])
    for column in scaled:
        factor = {"variance": scale**2}.get(column, scale) if column in with_scale else 1
        tolerance = {"gini": 0.01, "fraction_strong": 0.015, "domain_p": 0.04}.get(column, 2e-3)
        ours, theirs = scaled[column] / factor, found[column].astype(float)
        # One bin may hold the threshold and many units; an edge may run through all units of a neuron far from zero.
        coarse = {"fraction_strong": few, "gini": ["far"]}.get(column, [])
        ours, theirs = ours.drop(coarse), theirs.drop(coarse)
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=tolerance, err_msg=column)


def test_neurons_too_weak_for_their_fourth_powers_have_no_kurtosis(values):
    weak = metrics(values[["gaussian", "heavy"]] * np.float32(1e-12))
    assert weak[["skewness", "activation_kurtosis"]].isna().all(axis=None)
    np.testing.assert_allclose(weak.variance / 1e-24, values[["gaussian", "heavy"]].var(), rtol=1e-2)


@pytest.mark.parametrize("first", [700, 1111, 3001])
def test_constants_are_constant_whatever_the_mean_of_a_chunk_is_rounded_to(first):
    constants = np.random.default_rng(0).standard_normal(30).astype(np.float32) * 10.0 ** np.arange(-6, 4).repeat(3)
    x = pd.DataFrame(np.tile(constants.astype(np.float32), (UNITS, 1)))
    assert (state_of(torch.tensor(x.to_numpy()), [first], labels=LABELS)["shift"].numpy() != x.loc[0]).any()
    found = metrics(x, [first, first + 500])
    assert (found.variance == 0).all()
    undefined = ["skewness", "activation_kurtosis", "token_r2", "previous_r2", "position_r2", "domain_r2", "unigram_r2"]
    assert found[undefined].isna().all(axis=None)
    assert (found.domain_p[x.loc[0] > 0] == 1).all()


def test_the_last_digit_of_a_float_is_no_variance():
    two = np.array([0.3, np.nextafter(np.float32(0.3), np.float32(1))], np.float32)
    found = metrics(
        pd.DataFrame({"rounded": two[np.arange(UNITS) % 2], "wider": two[0] + 1e-4 * (np.arange(UNITS) % 2)})
    )
    assert found.variance.tolist() == pytest.approx([0, 1e-8 / 4], rel=1e-3, abs=0)
    assert found.activation_kurtosis.isna().tolist() == [True, False]


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(1, UNITS), max_size=6))
@example(cuts=[48])
def test_chunks_do_not_matter(values, found, cuts):
    other = metrics(values, cuts)
    assert other.unigram_text[found.unigram_r2 > 1e-3].equals(found.unigram_text[found.unigram_r2 > 1e-3])
    loose = ["activation_kurtosis", "variance", "skewness"]
    for column in found.columns.drop(["unigram_text", "domain_p"]):
        tolerance = {"rtol": 2e-3} if column in loose else {"rtol": 1e-4}
        add = 3 if column == "activation_kurtosis" else 0  # rounding is relative to the moment, not to its excess
        np.testing.assert_allclose(other[column] + add, found[column] + add, atol=2e-4, **tolerance, err_msg=column)


# -- how few units a neuron responds to ------------------------------------------------------------------------------


def gini_by_definition(x: np.ndarray) -> float:
    """Half the mean absolute difference of all pairs over the mean."""
    x = np.abs(x)
    return float(np.abs(x[:, None] - x).mean() / (2 * x.mean()))


def test_gini_is_that_of_the_sampled_units(values, found):
    for name, column in values.items():
        sample = column.to_numpy(float)[::SAMPLED]
        if name == "zero":
            assert np.isnan(found.gini[name])
        else:
            assert found.gini[name] == pytest.approx(gini_by_definition(sample), abs=0.008), name


def test_gini_of_known_neurons(found):
    sampled = len(range(0, UNITS, SAMPLED))
    assert found.gini["one_hot"] == pytest.approx(1 - 1 / sampled)
    assert found.gini[["constant", "below_zero"]].to_numpy() == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(0)
    labels = label_units(unit_table(documents=2, longest=5).iloc[np.zeros(200_000, int)].assign(passage=0), 1)
    many = pd.DataFrame({"normal": rng.standard_normal(200_000), "exponential": rng.exponential(size=200_000)})
    found = metrics(many.astype(np.float32), range(5000, 200_000, 5000), labels)
    assert found.gini["normal"] == pytest.approx(np.sqrt(2) - 1, abs=0.005)
    assert found.gini["exponential"] == pytest.approx(0.5, abs=0.006)
    assert found.fraction_strong["normal"] == pytest.approx(2 * stats.norm.sf(2), abs=0.003)
    assert found.hoyer["normal"] == pytest.approx(1 - np.sqrt(2 / np.pi), abs=0.003)
    assert found.treves_rolls["exponential"] == pytest.approx(0.5, abs=0.003)


def test_gini_of_counts_in_bins():
    counts = np.zeros((3, BINS), int)
    counts[0, [0, 150]] = 30, 10  # three quarters are zero
    counts[1, 150] = 5
    counts[2, [140, 148]] = 4, 4  # the second four times as large
    assert gini(counts).tolist() == pytest.approx([0.75, 0, 4 / 5 - 1 / 2])


def test_a_share_above_a_threshold_is_even_within_a_bin():
    counts = np.zeros((6, BINS), int)
    counts[:, 144], counts[:, 145], counts[:, 0] = 10, 30, 60  # 1..1.25, 1.25..1.5, zeros
    found = share_above(counts, np.array([0.5, 1.0, 1.125, 1.25, 1.4, 2.0]))
    np.testing.assert_allclose(found, [0.4, 0.4, 0.35, 0.3, 0.12, 0])
    assert share_above(counts[:1], np.zeros(1)).tolist() == [0.4], "zeros do not exceed zero"
    assert share_above(counts[:1], bin_edges()[-1:] * 2).tolist() == [0]


def test_fractions_count_units(values, found):
    d = values.to_numpy(float)
    np.testing.assert_allclose(found.fraction_active, (d > 0).mean(0))
    sample, rms = np.abs(d[::SAMPLED]), np.sqrt((d**2).mean(0))
    even = values.columns.isin(["gaussian", "heavy", "far", "uniform", "sparse", "noisy_sparse", "negative", *SPECIAL])
    np.testing.assert_allclose(found.fraction_strong[even], (sample > 2 * rms).mean(0)[even], atol=0.012)
    assert found.fraction_active[["zero", "negative", "below_zero"]].tolist() == [0, 0, 0]
    assert found.fraction_active[["constant", "far"]].tolist() == [1, 1]
    assert found.fraction_strong[["zero", "constant", "below_zero", "far"]].tolist() == [0, 0, 0, 0]
    assert 0 < found.fraction_strong["one_hot"] < 2 * SAMPLED / UNITS


def test_hoyer_and_treves_rolls_by_definition(values, found):
    d = np.abs(values.to_numpy(float))
    with np.errstate(invalid="ignore"):
        hoyer = (np.sqrt(UNITS) - d.sum(0) / np.sqrt((d**2).sum(0))) / (np.sqrt(UNITS) - 1)
        treves_rolls = (1 - d.mean(0) ** 2 / (d**2).mean(0)) / (1 - 1 / UNITS)
    np.testing.assert_allclose(found.hoyer, hoyer, atol=2e-4)
    np.testing.assert_allclose(found.treves_rolls, treves_rolls, atol=2e-4)
    assert np.isnan(found.hoyer["zero"])
    assert np.isnan(found.treves_rolls["zero"])
    for column in ("hoyer", "treves_rolls"):
        assert found[column][["constant", "below_zero"]].to_numpy() == pytest.approx(0, abs=1e-6)
        assert found[column]["one_hot"] == pytest.approx(1, abs=1e-5)
        assert found[column].min() >= 0
        assert found[column].max() <= 1
    assert (found.hoyer.rank() == found.treves_rolls.rank())[found.hoyer.notna()].all()


def test_sparsity_stays_within_its_bounds():
    found = sparsity(np.array([1 + 1e-7, 0.1 - 1e-7, 0.5]), np.ones(3), 100.0)
    assert found["hoyer"].tolist() == pytest.approx([0, 1, 5 / 9], abs=1e-15)
    assert found["treves_rolls"].tolist() == pytest.approx([0, 1, 0.75 / 0.99], abs=1e-15)


# -- what classes explain --------------------------------------------------------------------------------------------


def adjusted_r2(x: np.ndarray, kind: np.ndarray) -> float:
    """Of an ordinary regression on dummies of the classes that occur."""
    dummies = (kind[:, None] == np.unique(kind)).astype(float)
    x = x - x.mean()
    residual = x - dummies @ np.linalg.lstsq(dummies, x, rcond=None)[0]
    r2 = 1 - (residual**2).sum() / (x**2).sum()
    return 1 - (1 - r2) * (len(x) - 1) / (len(x) - dummies.shape[1])


def class_sums(x: np.ndarray, kind: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    sums = np.zeros((classes, x.shape[1]))
    np.add.at(sums, kind, x)
    return sums, np.bincount(kind, minlength=classes)


def test_what_classes_explain_is_the_adjusted_r2_of_a_regression(values, found):
    codes = {"token": LABELS.text, "previous": LABELS.previous, "position": LABELS.position, "domain": DOMAIN}
    for (kind, code), (name, x) in itertools.product(codes.items(), values.items()):
        if x.std() < 1e-6:
            assert np.isnan(found[f"{kind}_r2"][name])
        else:
            assert found[f"{kind}_r2"][name] == pytest.approx(adjusted_r2(x.to_numpy(float), code), abs=3e-4), name


@pytest.mark.parametrize("shift", [0.0, 50.0, -3.0])
def test_a_common_shift_explains_nothing(shift):
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 6, 300)
    x = rng.standard_normal((300, 4)) + np.outer(kind == 2, [0, 1, 2, 0])
    sums, units = class_sums(x + shift, kind, 9)
    expected = [adjusted_r2(column, kind) for column in x.T]
    np.testing.assert_allclose(explained(sums, units, x.var(0)), expected, atol=1e-9)


def test_random_classes_explain_nothing_on_average():
    rng = np.random.default_rng(1)
    kind, x = rng.integers(0, 40, 400), rng.exponential(size=(400, 1500))
    found = explained(*class_sums(x, kind, 40), x.var(0))
    assert found.mean() == pytest.approx(0, abs=0.004)
    assert found.std() > 0.01


def test_constant_neurons_have_nothing_to_explain():
    sums, units = np.array([[1e-9, 0.0], [2e-9, 0.0]]), np.array([3, 4])
    assert np.isnan(explained(sums, units, np.zeros(2))).all()
    assert np.isnan(unigram(sums, units, np.zeros(2))[1]).all()


def test_unigram_is_the_largest_squared_correlation_with_a_text(values, found):
    for name, x in values.items():
        if x.std() < 1e-6:
            assert np.isnan(found.unigram_r2[name])
            continue
        r = np.array([np.corrcoef(x, text == TABLE.text)[0, 1] for text in LABELS.texts])
        expected = np.where(r > 0, r**2, 0)
        assert found.unigram_r2[name] == pytest.approx(expected.max(), abs=2e-4), name
        if expected.max() > 0.01:
            assert found.unigram_text[name] == LABELS.texts[expected.argmax()]


def test_a_unigram_is_one_that_excites():
    kind = np.repeat([0, 1, 2, 3], 25)
    x = np.stack([-5.0 * (kind == 0) + (kind == 1), 3.0 * (kind == 2), 9.0 * (kind == 3) + (kind == 1)], 1)
    best, r2 = unigram(*class_sums(x, kind, 4), x.var(0))
    assert best[:2].tolist() == [1, 2], "not the one that inhibits"
    indicator = [np.corrcoef(x[:, i], kind == code)[0, 1] for i, code in enumerate(best[:2])]
    np.testing.assert_allclose(r2[:2], np.square(indicator), atol=1e-12)
    assert r2[2] == 0, "not the class of all others, beside which the one that is excited lies below the mean"


def test_neurons_planted_on_texts_and_places_are_found(found):
    assert found.unigram_text["text"] == LABELS.texts[1]
    assert found.unigram_r2["text"] == pytest.approx(1, abs=1e-4)
    assert found.token_r2["text"] == pytest.approx(1, abs=1e-4)
    assert found.previous_r2["previous"] == pytest.approx(1, abs=1e-4)
    assert found.token_r2["previous"] < 0.1
    assert found.position_r2["position"] == pytest.approx(1, abs=1e-4)
    assert found.token_r2["position"] < 0.1
    assert found.domain_r2["domain"] > 0.7
    assert found.domain_r2["domain"] > found.domain_r2["half_domain"] > 0.3
    assert found.unigram_r2["not_text"] < 0.2, "a text that inhibits explains all, but is no unigram"
    assert found.token_r2["not_text"] == pytest.approx(1, abs=1e-4)
    assert found.token_r2["rare"] == pytest.approx(1, abs=1e-4)
    assert found.unigram_r2["rare"] == 0
    others = ["gaussian", "far", "heavy", "sparse", "uniform", "negative"]
    assert (
        found.loc[others, ["unigram_r2", "token_r2", "previous_r2", "position_r2", "domain_r2"]].max(axis=None) < 0.02
    )


# -- what texts and domains are told ---------------------------------------------------------------------------------


def test_information_entropy_and_selectivity_are_those_of_the_positive_activations(values, found):
    positive = values.clip(lower=0).to_numpy(float)
    silent = (positive == 0).all(0)
    for kind, code, classes in (("token", LABELS.text, 7), ("domain", DOMAIN, 3)):
        sums, units = class_sums(positive, code, classes)
        share = units / UNITS
        np.testing.assert_allclose(
            found[f"{kind}_information"], specialisation.information(sums, share), atol=1e-4, err_msg=kind
        )
        # Entropy is over texts with a code; and over all domains.
        kept = slice(classes - (kind == "token"))
        expected = specialisation.entropy(sums[kept], share[kept])
        np.testing.assert_allclose(found[f"{kind}_entropy"], expected, atol=1e-4, err_msg=kind)
        assert found[f"{kind}_information"].isna().tolist() == silent.tolist()
    expected = specialisation.class_selectivity(sums, share)
    np.testing.assert_allclose(found.domain_selectivity, expected, atol=1e-4)
    shuffled, units = class_sums(positive, LABELS.displaced, 7)
    expected = specialisation.information(shuffled, units / UNITS)
    np.testing.assert_allclose(found.token_information_null, expected, atol=1e-4)


def test_information_of_neurons_planted_on_texts_and_domains(found):
    assert found.token_information["text"] == pytest.approx(-np.log2((TABLE.text == LABELS.texts[1]).mean()), abs=1e-4)
    assert found.token_entropy["text"] == pytest.approx(0, abs=1e-5)
    assert found.token_information["constant"] == pytest.approx(0, abs=1e-5)
    assert found.domain_information["constant"] == pytest.approx(0, abs=1e-5)
    assert found.domain_entropy["constant"] == pytest.approx(np.log2(3), abs=1e-5)
    assert found.token_entropy["constant"] == pytest.approx(np.log2(6), abs=1e-5)
    assert found.domain_selectivity["constant"] == pytest.approx(0, abs=1e-4)
    columns = ["token_information", "domain_information", "token_information_null", "domain_information_null"]
    assert (found[columns].dropna() >= -1e-9).all(axis=None)
    assert found.token_information_null["text"] < 0.03 < 1 < found.token_information["text"]


def test_a_neuron_of_one_block_is_no_domain_neuron(found):
    assert found.domain_information["block"] > 1
    assert found.domain_information_null["block"] == pytest.approx(found.domain_information["block"], rel=0.2)
    assert found.domain_p["block"] > 0.1
    for name in ("domain", "half_domain"):
        assert found.domain_p[name] == pytest.approx(1 / (SHUFFLES + 1))
        assert found.domain_information_null[name] < 0.1 * found.domain_information[name]


def test_the_null_of_domains_is_that_of_their_blocks_and_seed(values, found):
    sums, units = class_sums(values.clip(lower=0).to_numpy(float), LABELS.block, len(LABELS.block_domain))
    rng = np.random.default_rng(0)
    null, p = specialisation.shuffled_information(sums, units, LABELS.block_domain, SHUFFLES, rng=rng)
    np.testing.assert_allclose(found.domain_information_null, null, atol=1e-4)
    np.testing.assert_allclose(found.domain_p, p, atol=0.04)
    again, other = (metrics(values, seed=seed) for seed in (0, 1))
    pd.testing.assert_frame_equal(metrics(values, seed=0), again, check_exact=True)
    assert not other.domain_information_null.equals(again.domain_information_null)


def test_p_values_of_random_neurons_are_uniform():
    rng = np.random.default_rng(2)
    activation = pd.DataFrame(rng.standard_normal((UNITS, 400)).astype(np.float32))
    p = metrics(activation).domain_p
    assert p.mean() == pytest.approx(0.5, abs=0.05)
    assert stats.kstest(p, "uniform").statistic < 0.09


def test_one_domain_tells_nothing():
    units = unit_table(documents=20, domains=1)
    labels = label_units(units, 3)
    values = pd.DataFrame(np.random.default_rng(0).standard_normal((len(units), 2)).astype(np.float32))
    found = metrics(values, labels=labels)
    assert found[["domain_information", "domain_information_null", "domain_p"]].isna().all(axis=None)
    assert found.domain_selectivity.isna().all()
    assert found.domain_r2.tolist() == pytest.approx([0, 0], abs=1e-9)


def test_a_neuron_of_a_few_documents_knows_no_token_beyond_chance():
    """Texts cluster in documents: here documents use one of 8 vocabularies, and the neuron never looks at the text."""
    rng, doc = np.random.default_rng(0), np.repeat(np.arange(40), 30)
    texts = [
        f"w{vocabulary}{word}"
        for vocabulary, word in zip(rng.permutation(40)[doc] % 8, rng.integers(0, 3, 1200), strict=True)
    ]
    units = pd.DataFrame({"passage": doc, "doc": doc, "domain": "a", "start": np.tile(range(30), 40), "text": texts})
    fires = rng.random((1200, 30)) * np.stack([np.isin(doc, rng.choice(40, 4, replace=False)) for _ in range(30)], 1)
    labels = label_units(units.assign(end=units.start + 1), 24)
    found = metrics(pd.DataFrame(fires.astype(np.float32)), labels=labels)
    assert found.token_information.mean() > 0.5, "the documents alone tell texts"
    assert found.token_information_null.mean() == pytest.approx(found.token_information.mean(), rel=0.2)
