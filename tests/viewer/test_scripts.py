"""What scripts hand over equals what they were made from."""

import numpy as np
import pandas as pd
import pytest
from made_viewer import decoded

from rosetta_scaling.schemas.tables.selectivity import TOKENS_OF_NEURONS
from rosetta_scaling.viewer.scripts import TYPES, column_arrays, quantiles, rounded, script, text_script
from rosetta_scaling.viewer.shards import TOKENS, Tokens
from rosetta_scaling.viewer.words import index_words, word_scripts


def test_arrays_of_all_types_and_lengths_come_back():
    rng = np.random.default_rng(0)
    arrays = {f"{name}{n}": rng.integers(0, 100, n).astype(name) for name in TYPES for n in (0, 1, 2, 3, 5, 1000)}
    key, about, found = decoded(script('a"/b', {"more": "ü</script>"}, arrays))
    assert (key, about["more"], list(found)) == ('a"/b', "ü</script>", list(arrays))
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values, strict=True)


def test_columns_come_back_as_they_are_in_the_table():
    rng = np.random.default_rng(1)
    numbers = np.concatenate([rng.normal(size=500) * 10.0 ** rng.integers(-30, 30, 500), [0, np.nan, 1e38, -1e-38]])
    columns = {
        "number": pd.Series(numbers),
        "whole": pd.Series([-1, 0, 524_287, 2**31 - 1]),
        "truth": pd.Series([True, False]),
        "text": pd.Series(["the", None, "<b>", "", "\n", "Łódź", "the"]),
    }
    for column in columns.values():
        _, about, found = decoded(script("k", *column_arrays(column)))
        values = found["values"]
        if "texts" in about:
            back = [about["texts"][code] if code < len(about["texts"]) else None for code in values]
            assert back == [None if pd.isna(text) else text for text in column]
            assert about["texts"] == sorted(about["texts"])  # the page sorts by their codes
        elif column.dtype == float:
            np.testing.assert_allclose(values, column, rtol=2.0**-13, atol=1e-40)
        else:
            np.testing.assert_array_equal(values, column)


def test_rounding_keeps_what_has_few_digits_and_what_is_not_finite():
    values = np.array([0, -0.5, 1, 1.5, 2048, np.nan, np.inf, -np.inf], np.float32)
    np.testing.assert_array_equal(rounded(values), values)


def test_the_text_is_there_once_with_the_place_of_every_unit():
    units = pd.DataFrame(
        {
            "text": ["Łó", "😀", " a", "", "b"],
            "passage": [4, 4, 5, 5, 9],
            "domain": ["y", "y", "x", "x", "x"],
            "doc": [7, 7, 7, 7, 8],
        }
    )
    _, about, found = decoded(text_script("k", units))
    whole = found["text"].tobytes().decode().encode("utf-16-le")
    ends = 2 * np.cumsum(found["lengths"])  # browsers count in units of two bytes
    assert [whole[a:b].decode("utf-16-le") for a, b in zip([0, *ends], ends, strict=False)] == units.text.tolist()
    assert found["opens"].tolist() == [0, 2, 4]
    assert [about["domains"][code] for code in found["domain"]] == ["y", "x", "x"]
    assert found["document"].tolist() == [7, 7, 8]


def test_the_same_table_gives_the_same_bytes():
    values = {"values": np.arange(1000, dtype=np.int32)}
    assert script("k", {}, values) == script("k", {}, values)


@pytest.mark.parametrize("part", [3, 2**17])
def test_every_neuron_is_found_under_its_words(monkeypatch, part):
    monkeypatch.setattr("rosetta_scaling.viewer.words.PART", part)
    rng = np.random.default_rng(2)
    neuron, text = rng.integers(0, 9, 200), pd.Series(rng.choice([" The", "the", "ab", "", "  ", "c\n", None], 200))
    (_, words), *parts = word_scripts("w", index_words(neuron, text))
    _, about, found = decoded(words)
    assert about["part"] == part
    listed = found["words"].tobytes().decode().split("\n")
    neurons = np.concatenate([decoded(one)[2]["neurons"] for _, one in parts])
    ends = np.cumsum(found["counts"])
    back = {word: neurons[end - count : end] for word, end, count in zip(listed, ends, found["counts"], strict=True)}
    assert listed == ["ab", "c", "the"]
    for word, members in back.items():
        wanted = {n for n, t in zip(neuron, text, strict=True) if pd.notna(t) and t.strip().lower() == word}
        assert members.tolist() == sorted(wanted)


def test_quantiles_leave_out_what_is_not_known():
    table = pd.DataFrame({"a": [np.nan, 0, 100, 50], "b": np.nan})
    found = quantiles(table, ["a", "b"])
    assert (found["a"][0], found["a"][50], found["a"][100], len(found["a"])) == (0, 50, 100, 101)
    assert found["b"] == []


def test_networks_without_a_vocabulary_promote_nothing():
    tokens = Tokens.of(TOKENS_OF_NEURONS.empty(), 3)
    assert tokens.texts == []
    assert (tokens.code == -1).all()
    assert tokens.code.shape == (3, 2, TOKENS)
    nothing = index_words(np.array([], int), pd.Series([], dtype=object))
    arrays = decoded(dict(word_scripts("k", nothing))["k"])[2]
    assert arrays["words"].size == arrays["counts"].size == 0
