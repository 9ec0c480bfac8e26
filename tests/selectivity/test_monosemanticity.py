"""Contexts, MonoScore and detection against plain definitions, and on neurons whose subject is known."""

import socket
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from rosetta_scaling.selectivity.contexts import reader_of, strongest_contexts
from rosetta_scaling.selectivity.monosemanticity import auc, context_monoscore, detection, monoscore
from rosetta_scaling.selectivity.text_contexts import embed, features, windows
from rosetta_scaling.store.errors import StudyError

pytestmark = pytest.mark.filterwarnings("ignore:Importing from 'sentence_transformers.models':DeprecationWarning")

ALPHABET = ["a", "b", " ", "\n", "é", "日", "😀"]  # 1 to 4 bytes
WORDS = ["apple", "bread", "cloud", "dream", "eagle", "flame", "grape", "house", "ivory", "jewel", "knife", "lemon"]
WORDS += ["mouse", "night", "ocean", "piano", "queen", "river", "stone", "tiger", "uncle", "voice", "wheel", "xenon"]
WORDS += ["yacht", "zebra"]


def table_of(passages: list[list[str]]) -> pd.DataFrame:
    """Units from the texts of every passage's units, after a first token of three bytes that is no unit."""
    rows = []
    for passage, texts in enumerate(passages):
        end = 3
        for text in texts:
            rows.append((len(rows), passage, passage, "words", end, end := end + len(text.encode()), text))
    return pd.DataFrame(rows, columns=["unit", "passage", "doc", "domain", "start", "end", "text"])


def random_units(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 40, 30)
    return table_of([["".join(rng.choice(ALPHABET, rng.integers(1, 4))) for _ in range(n)] for n in lengths])


def window_by_hand(units: pd.DataFrame, chosen: int, before: int, after: int) -> str:
    passage, text = units.passage[chosen], units.text[chosen]
    for step, room in ((-1, before), (1, after)):
        place = chosen + step
        while 0 <= place < len(units) and units.passage[place] == passage:
            room -= len(units.text[place].encode())
            if room < 0:
                break
            text = units.text[place] + text if step < 0 else text + units.text[place]
            place += step
    return text


@pytest.mark.parametrize(("before", "after"), [(48, 16), (5, 0), (0, 7), (0, 0), (1000, 1000)])
def test_windows_equal_a_plain_loop(before, after):
    units = random_units()
    chosen = np.random.default_rng(1).permutation(len(units))
    found = windows(units, chosen, before, after)
    assert found == [window_by_hand(units, i, before, after) for i in chosen]


def test_windows_respect_bytes_and_passages():
    units = table_of([["é"] * 10, ["日"] * 10])
    assert windows(units, np.array([0, 9, 10, 14]), 5, 7) == ["é" * 4, "é" * 3, "日" * 3, "日" * 4]


def test_strongest_contexts_merge_both_halves():
    rows = [(1, 0, 0, 7, 2.0), (1, 0, 1, 9, 1.0), (1, 1, 0, 4, 2.0), (1, 1, 1, 3, 0.5), (0, 1, 0, 5, -1.0)]
    contexts = pd.DataFrame(rows, columns=["neuron", "half", "rank", "unit", "activation"])
    expected = pd.DataFrame([(0, 0, 5, -1.0), (1, 0, 4, 2.0), (1, 1, 7, 2.0), (1, 2, 9, 1.0)])
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
        found = strongest_contexts(contexts.iloc[order], 3)
        assert list(found.columns) == ["neuron", "rank", "unit", "activation"]
        np.testing.assert_array_equal(found, expected)


def quadratic(weights: np.ndarray, index: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """MonoScore by its definition, pair by pair."""
    scores = []
    for a, places in zip(np.maximum(weights.astype(float), 0), index, strict=True):
        above = below = 0.0
        for i in range(len(a)):
            for j in range(i):
                e, f = embeddings[places[i]].astype(float), embeddings[places[j]].astype(float)
                if e.any() and f.any():
                    above += a[i] * a[j] * (e @ f) / np.sqrt((e @ e) * (f @ f))
                    below += a[i] * a[j]
        scores.append(above / below if below else np.nan)
    return np.array(scores)


def population(neurons: int = 60, texts: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights with zeros and negative ones, neurons with few contexts, embeddings of any length and some of zero."""
    rng = np.random.default_rng(2)
    weights = rng.lognormal(0, 3, (neurons, 9)).astype(np.float32)
    weights[rng.random(weights.shape) < 0.3] = 0
    weights[rng.random(weights.shape) < 0.1] *= -1
    for neuron in range(10):
        weights[neuron, neuron:] = 0  # padding
    embeddings = (rng.standard_normal((texts, 16)) + 0.5).astype(np.float32)
    embeddings[:3] = 0
    return weights, rng.integers(0, texts, weights.shape), embeddings


def test_monoscore_equals_the_definition():
    weights, index, embeddings = population()
    found, expected = monoscore(weights, index, embeddings), quadratic(weights, index, embeddings)
    assert found.dtype == np.float64
    assert np.isnan(expected).sum() >= 2
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 7, 60, 1000])
def test_chunks_do_not_matter(chunk):
    population_ = population()
    np.testing.assert_array_equal(monoscore(*population_, chunk=chunk), monoscore(*population_))


def test_what_monoscore_does_not_depend_on():
    weights, index, embeddings = population()
    expected, order = monoscore(weights, index, embeddings), np.random.default_rng(3).permutation(9)
    np.testing.assert_allclose(monoscore(weights[:, order], index[:, order], embeddings), expected, rtol=1e-9)
    scale = np.random.default_rng(4).lognormal(0, 5, (len(weights), 1))
    np.testing.assert_allclose(monoscore(weights * scale, index, embeddings), expected, rtol=1e-6)
    np.testing.assert_allclose(monoscore(weights, index, 100 * embeddings), expected, rtol=1e-5)


def test_monoscore_of_known_constructions():
    embeddings = np.vstack([np.eye(3), -np.eye(3)[:1], np.zeros((1, 3))])
    index = np.array([[1, 1, 1], [0, 1, 2], [0, 1, 2], [0, 3, 4], [0, 1, 1], [0, 4, 4]])
    weights = np.array([[1, 2, 3], [1, 2, 3], [5, 0, 0], [1, 2, 9], [2, 1, 1], [1, 1, 1]])
    np.testing.assert_allclose(monoscore(weights, index, embeddings), [1, 0, np.nan, -1, 1 / 5, np.nan])


def test_a_context_that_dwarfs_the_others_does_not_drown_them():
    weights, embeddings = np.array([[1e9, 1e-9, 1e-9]]), np.array([[1, 0], [0.6, 0.8], [0, 1]])
    assert monoscore(weights, np.array([[0, 1, 2]]), embeddings)[0] == pytest.approx(0.3)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_word_vectors_from_the_package(no_network):
    texts = [
        "def read(path):\n    return open(path).read()",
        "import numpy as np\nfor i in range(10):\n    print(i)",
        "And the LORD spake unto Moses, saying,",
        "Blessed be the name of God, and the children of Israel",
        "",
    ]
    vectors = embed(texts, "wordllama")
    assert vectors.shape == (5, 256)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 1, 0], atol=1e-6)
    cosine = vectors @ vectors.T
    assert min(cosine[0, 1], cosine[2, 3]) > 0.1 + cosine[:2, 2:4].max()


@pytest.fixture
def static_model(tmp_path):
    """A sentence-transformers model in a folder: the mean of one vector per word."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0} | {word: i + 1 for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.random.default_rng(0).standard_normal((len(WORDS) + 1, 8)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=vectors)], device="cpu").save(
        str(tmp_path / "static")
    )
    return str(tmp_path / "static"), vectors


def test_a_sentence_transformer_from_a_folder(static_model, no_network):
    folder, vectors = static_model
    found = embed(["apple cloud", "", "cloud"], folder)
    expected = np.stack([vectors[1] + vectors[3], 0 * vectors[0], vectors[3]])
    expected[[0, 2]] /= np.linalg.norm(expected[[0, 2]], axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_a_model_that_embeds_empty_text_is_not_believed(static_model, monkeypatch):
    monkeypatch.setattr("sentence_transformers.SentenceTransformer.encode", lambda _, texts, **__: np.ones((2, 4)))
    np.testing.assert_array_equal(embed(["", "apple"], static_model[0]), [[0] * 4, [0.5] * 4])


def test_models_that_cannot_be_loaded(tmp_path, no_network):
    (tmp_path / "empty").mkdir()
    for name in ("missing", "empty"):
        with pytest.raises(StudyError, match=f"{name} cannot be loaded .*expected a folder") as error:
            embed(["text"], str(tmp_path / name))
        assert "\n" not in str(error.value)


def test_a_library_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(StudyError, match="pip install sentence-transformers"):
        embed(["text"], "some/model")


def test_monoscore_of_contexts(static_model):
    folder, _ = static_model
    units = table_of([[word] for word in WORDS[:6]] + [["apple"]])
    rows = [(0, 0, 1.0), (0, 6, 2.0), (0, 1, 0.5), (0, 4, 0.1), (1, 2, 3.0), (1, 3, 2.0), (1, 4, 1.0), (2, 5, 1.0)]
    contexts = pd.DataFrame(rows, columns=["neuron", "unit", "activation"])
    weights, index = np.array([[1, 2, 0.5], [3, 2, 1], [1, 0, 0], [0, 0, 0]]), np.zeros((4, 3), int)
    index[:2] = [[0, 6, 1], [2, 3, 4]]
    found = context_monoscore(contexts, units, neurons=4, top=3, embedding=folder)
    np.testing.assert_allclose(found, quadratic(weights, index, embed(list(units.text), folder)), atol=1e-6)
    assert np.isfinite(found).tolist() == [True, True, False, False]


def world(seed: int = 0, passages: int = 120, length: int = 20) -> tuple[pd.DataFrame, np.ndarray]:
    """Units that are random words, and the half of every unit (its document's last bit)."""
    words = np.random.default_rng(seed).choice([f" {word}" for word in WORDS], (passages, length))
    units = table_of(words.tolist())
    return units, (units.doc % 2).to_numpy()


def contexts_of(activations: np.ndarray, half: np.ndarray, top: int = 20) -> pd.DataFrame:
    """Strongest units of every row of activations (neurons, units) in either half; the first among equals."""
    rows = []
    for neuron, values in enumerate(activations):
        for side in (0, 1):
            members = np.flatnonzero(half == side)
            best = members[np.argsort(-values[members], kind="stable")[:top]]
            rows += [(neuron, side, rank, unit, values[unit]) for rank, unit in enumerate(best)]
    table = pd.DataFrame(rows, columns=["neuron", "half", "rank", "unit", "activation"])
    return table.astype({"activation": np.float32})


def noise(neurons: int, half: np.ndarray, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).random((neurons, len(half))) + 0.01


def test_planted_neurons_are_detected():
    units, half = world()
    text, depth = units.text.to_numpy(object), units.unit.to_numpy() % 20
    last, second = (np.where(depth >= back, np.roll(text, back), "") for back in (1, 2))
    near = np.array([" eagle" in window for window in windows(units, units.unit.to_numpy(), 30, 0)])
    planted = np.stack(
        [text == " tiger", last == " lemon", second == " grape", near, np.isin(text, [" ivory", " jewel"])]
    )
    found = detection(contexts_of(planted + noise(5, half), half), units, half)
    assert (found[:3] > 0.95).all(), found
    # The more common what a neuron fires on, the more of the random negatives are really positives.
    assert found[3] > 0.75, found
    assert found[4] > 0.9, found


def test_spelling_carries_over_to_words_never_seen():
    rng = np.random.default_rng(7)
    names = np.array(["".join(rng.choice(list("abcdefgh"), 6)) for _ in range(2000)], object)
    fires = rng.random(len(names)) < 0.03
    cuts = rng.integers(0, 6, fires.sum())
    names[fires] = [f"{name[:cut]}zx{name[cut:]}" for name, cut in zip(names[fires], cuts, strict=True)]
    units = table_of(names.reshape(100, 20).tolist())
    half = (units.doc % 2).to_numpy()
    assert detection(contexts_of(fires[None] + noise(1, half), half), units, half)[0] > 0.95


def test_random_contexts_are_at_chance():
    means = []
    for seed in range(12):  # neurons of one draw share their negatives, so draws are the sample
        units, half = world(seed)
        found = detection(contexts_of(noise(25, half, seed), half), units, half, seed=seed)
        assert found.notna().all()
        means.append(found.mean())
    error = np.std(means, ddof=1) / np.sqrt(len(means))
    assert error < 0.02
    assert abs(np.mean(means) - 0.5) < 3 * error, (np.mean(means), error)


def test_nothing_leaks_between_the_halves():
    units, half = world()
    text = units.text.to_numpy(object)
    pairs = [(WORDS[i], WORDS[i + 13]) for i in range(13)]
    mixed = [np.where(half == 0, text == f" {one}", text == f" {other}") for one, other in pairs]
    found = detection(contexts_of(np.stack(mixed) + noise(len(pairs), half), half), units, half)
    assert abs(found.mean() - 0.5) < 0.1, found


def test_own_contexts_are_no_negatives():
    units, half = world(passages=20)
    tiger = (units.text == " tiger").to_numpy()
    contexts = contexts_of(tiger[None] * (1 + noise(1, half)), half)
    assert contexts[contexts.activation > 0].groupby("half").size().min() >= 5
    assert (contexts.activation > 0).sum() == tiger.sum(), "all of them are contexts"
    assert detection(contexts, units, half, negatives=len(units))[0] == 1


def test_the_order_of_rows_does_not_matter_and_halves_are_alike():
    units, half = world()
    contexts = contexts_of(np.vstack([noise(20, half), np.full((1, len(half)), 0.7)]), half)
    found = detection(contexts, units, half)
    assert found.isna().tolist() == [False] * 20 + [True], "the last one is constant"
    shuffled = detection(contexts.sample(frac=1, random_state=0), units, half)
    pd.testing.assert_series_equal(shuffled, found, check_exact=True)
    everything = detection(contexts, units, half, negatives=len(units))
    swapped = detection(contexts.assign(half=1 - contexts.half), units, 1 - half, negatives=len(units))
    np.testing.assert_allclose(swapped, everything, rtol=1e-9)


def test_a_sample_of_neurons():
    units, half = world()
    contexts = contexts_of(noise(6, half), half)
    every, some = detection(contexts, units, half), detection(contexts, units, half, neurons=np.array([1, 4]))
    assert some.index.tolist() == list(range(6))
    assert some.notna().tolist() == [False, True, False, False, True, False]
    pd.testing.assert_series_equal(some.dropna(), every[[1, 4]])


def test_the_seed_draws_the_negatives():
    units, half = world()
    contexts = contexts_of(noise(3, half), half)
    assert (detection(contexts, units, half, seed=1) != detection(contexts, units, half, seed=2)).any()


def test_neurons_without_a_value():
    units, half = world()
    text = units.text.to_numpy(object)
    few = noise(1, half)[0]
    few[np.flatnonzero(half == 1)[4:]] = 0  # four contexts in one half
    enough = noise(1, half)[0]
    enough[np.flatnonzero(half == 1)[5:]] = 0
    plateau = (text == " tiger").astype(float)  # as strong on all of them, yet not constant
    silent, constant = np.zeros(len(units)), np.full(len(units), 0.7)
    found = detection(contexts_of(np.stack([few, enough, plateau, silent, constant, -few]), half), units, half)
    assert found.isna().tolist() == [True, False, False, True, True, True]


def test_no_units_left_for_negatives():
    units, half = world(passages=3)  # half 1 has as many units as contexts are kept
    assert detection(contexts_of(noise(2, half), half), units, half).isna().all()


def test_features_know_what_was_read_and_nothing_else():
    units, _ = world(passages=3)
    chosen = np.array([20, 21, 25, 30])  # passage 1; its first two units have little before them
    expected = features(units, chosen).toarray()
    for changed in (slice(0, 20), slice(31, 60)):
        other = units.copy()
        other.loc[other.index[changed], "text"] = " wheel"
        other.loc[:, "end"] = other.start + other.text.str.len()
        np.testing.assert_array_equal(features(other, chosen).toarray(), expected)
    some = features(units, chosen[[3, 1]]).toarray()
    np.testing.assert_array_equal(some, expected[[3, 1]])
    for read in (28, 29, 30):
        other = units.copy()
        other.loc[read, "text"] = " zzzzz"
        assert (features(other, chosen).toarray()[3] != expected[3]).any()


def test_auc_against_scikit_learn():
    rng = np.random.default_rng(6)
    for spread in (3, 1000):
        positive, negative = rng.integers(1, spread + 1, 23), rng.integers(0, spread, 50)
        expected = roc_auc_score(np.repeat([1, 0], [23, 50]), np.append(positive, negative))
        assert auc(positive, negative) == pytest.approx(expected)


def test_a_unit_table_that_nobody_reads_is_refused():
    with pytest.raises(StudyError, match="unit table has the columns unit, colour; expected one of text"):
        reader_of(pd.DataFrame({"unit": [0], "colour": ["red"]}))
