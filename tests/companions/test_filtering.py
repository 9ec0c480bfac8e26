"""Data filtering: pools of known content, arms on pools whose best arm is known, choices, training, and verdicts."""

import collections
import math

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_networks import tiny_model
from tokenizers import Tokenizer

from rosetta_scaling.companions.filtering import results
from rosetta_scaling.companions.filtering.arms import ARMS, NEURONS
from rosetta_scaling.companions.filtering.byte_model import ORDER, PRIOR, ByteModel
from rosetta_scaling.companions.filtering.case import Case, Features, NeuronFeatures, pool_rows
from rosetta_scaling.companions.filtering.choice import choose, context_table
from rosetta_scaling.companions.filtering.claims import judge
from rosetta_scaling.companions.filtering.neuron_arms import alike, equally_many
from rosetta_scaling.companions.filtering.pools import build_pool, is_target, known_rows
from rosetta_scaling.companions.filtering.reading import read_documents
from rosetta_scaling.companions.filtering.selection import arms_that_look, budget_of, quality, run_arms, select
from rosetta_scaling.companions.filtering.training import Further, train_on_choices
from rosetta_scaling.config.companions.filtering import FilteringSettings, Task
from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Ladder, Size
from rosetta_scaling.config.units import Units
from rosetta_scaling.networks.mlps import find_mlps
from rosetta_scaling.networks.training.further import FurtherTask
from rosetta_scaling.networks.training.tokenizers import train_tokenizer
from rosetta_scaling.schemas.tables.filtering import CHOSEN, POOL, RUNS, SCORES, TABLES_OF_STUDY
from rosetta_scaling.store.errors import StudyError

CPU = torch.device("cpu")
TASK = Task(domain="rare", among=["common"], keywords=r"\brare7\b")
SETTINGS = FilteringSettings(
    tasks={"planted": TASK},
    document_bytes=200,
    pool_bytes=40_000,
    test_bytes=4_000,
    labels=[0, 8, 32],
    training_labels=32,
    seeds=2,
    nag_share=0.25,
)
THRESHOLD = 0.8


def prose(kind: str, words: int, rng: np.random.Generator) -> str:
    """Random words; those of the two kinds overlap by half."""
    first = {"rare": 0, "common": 20}[kind]
    names = [f"{'rare' if i < 20 else 'word'}{i}" for i in range(first, first + 40)]
    return " ".join(rng.choice(names, words))


@pytest.fixture(scope="module")
def corpus() -> pd.DataFrame:
    rng, rows = np.random.default_rng(0), []
    for i in range(400):
        kind = "rare" if i % 3 == 0 else "common"
        folder = "tests" if i // 2 % 2 else "library"
        rows.append((i, kind, "probe" if i % 10 == 0 else "train", prose(kind, 90, rng), f"pkg:{folder}/{i}.py"))
    return pd.DataFrame(rows, columns=["doc", "domain", "split", "text", "source"])


@pytest.fixture(scope="module")
def pool(corpus) -> pd.DataFrame:
    made = build_pool(corpus, "planted", SETTINGS, THRESHOLD)
    return made.assign(tokens=made.bytes // 3)


# -- pools -------------------------------------------------------------------------------------------------------------


def test_a_pool_holds_what_was_asked_for(pool):
    POOL.check(pool)
    size = pool.groupby(["role", "target"]).bytes.sum()
    assert size["pool", True] == pytest.approx(4_000, abs=200)
    assert size["pool", False] == pytest.approx(36_000, abs=200)
    assert size["test", True] == pytest.approx(4_000, abs=200)
    assert (pool.role == "label").sum() >= 32
    assert pool.target[pool.role == "label"].all()
    assert (pool.target == (pool.domain == "rare")).all()
    assert pool.bytes.max() <= 200


def test_documents_have_one_role_and_no_text_of_the_probe_is_in_the_pool(corpus, pool):
    whole = {row.doc: row.text for row in corpus.itertuples()}
    owner = pool.text.map(lambda text: next(doc for doc, words in whole.items() if text in words))
    assert (owner == pool.original).all()
    assert pool.groupby(owner).role.agg(lambda roles: len(set(roles)) == 1).all()
    probe = set(corpus.doc[corpus.split == "probe"])
    assert set(owner[pool.role == "probe"]) <= probe
    assert not set(owner[pool.role != "probe"]) & probe


def test_copies_of_the_probe_are_left_out_of_the_pool(corpus):
    copied = corpus.copy()
    source = copied.text[(copied.split == "probe") & (copied.domain == "rare")].iloc[0]
    victim = copied.index[(copied.split == "train") & (copied.domain == "rare")][0]
    copied.loc[victim, "text"] = source
    made = build_pool(copied, "planted", SETTINGS, THRESHOLD)
    first = source[:60]
    assert made.role[made.text.str.startswith(first)].tolist() == ["probe"]


def test_a_target_can_be_a_path(corpus):
    task = Task(domain="common", path="tests/", among=["common"], keywords="x")
    found = is_target(corpus, task)
    assert (found == ((corpus.domain == "common") & corpus.source.str.contains("tests/"))).all()
    made = build_pool(corpus, "t", SETTINGS.model_copy(update={"tasks": {"t": task}}), THRESHOLD)
    assert set(made.domain) == {"common"}
    assert made.target.nunique() == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"tasks": {"planted": Task(domain="gone", among=["common"], keywords="x")}},
            "no document of the domain 'gone'",
        ),
        (
            {"tasks": {"planted": Task(domain="rare", path="/no", among=["common"], keywords="x")}},
            "in '/no' of the dom",
        ),
        (
            {"tasks": {"planted": Task(domain="rare", among=["gone"], keywords="x")}},
            r"no document of \['gone'\], among",
        ),
        ({"labels": [0, 600], "training_labels": 0, "pool_bytes": 10_000}, "documents to label, fewer than the 600"),
        (
            {"pool_bytes": 400_000},
            r"common in the task planted has [\d,]+ bytes for the pool, fewer than 360,000; lower",
        ),
    ],
)
def test_what_is_not_there_is_refused_in_one_sentence(corpus, change, sentence):
    with pytest.raises(StudyError, match=sentence) as refused:
        build_pool(corpus, "planted", SETTINGS.model_copy(update=change), THRESHOLD)
    assert "\n" not in str(refused.value)


def test_what_learns_sees_no_piece_of_the_originals_that_it_scores(pool):
    case = Case(Features(pool), pool_rows(pool), *known_rows(pool, 0, seed=0))
    original = pool.original.to_numpy()[case.pool]
    scored = []
    for background, places in case.folds():
        assert not set(original[background]) & set(original[places])
        assert len(background) + len(places) == len(case.pool)
        scored += places.tolist()
    assert sorted(scored) == list(range(len(case.pool)))


def test_labels_are_drawn_beside_the_probe_text(pool):
    none, others = known_rows(pool, 0, seed=1)
    assert set(pool.role[none]) == {"probe"}
    assert pool.target[none].all()
    assert not pool.target[others].any()
    some, same, another = (known_rows(pool, 8, seed=seed)[0] for seed in (1, 1, 2))
    assert len(some) == len(none) + 8
    assert set(none) < set(some)
    assert some.tolist() == same.tolist() != another.tolist()


# -- choices -----------------------------------------------------------------------------------------------------------


def test_documents_are_taken_until_the_budget_is_reached():
    tokens = np.array([5, 5, 5, 5])
    assert select(np.array([0.1, 0.9, 0.5, 0.5]), tokens, 10).tolist() == [1, 2]
    assert select(np.array([0.1, 0.9, 0.5, 0.5]), tokens, 11).tolist() == [1, 2, 3]


def test_quality_by_hand():
    truth = np.array([True, True, False, False])
    found = quality(np.array([4.0, 2.0, 3.0, 1.0]), np.array([0, 2]), truth)
    assert found.f1 == pytest.approx(0.5)
    assert found.auprc == pytest.approx((1 + 2 / 3) / 2)


@pytest.fixture(scope="module")
def by_text(pool) -> pd.DataFrame:
    vectors = np.random.default_rng(1).normal(size=(len(pool), 8)) + 3 * pool.target.to_numpy()[:, None]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    features = Features(pool, TASK.keywords, vectors)
    scores, chosen = run_arms(features, arms_that_look("nothing", "text"), SETTINGS, {})
    SCORES.check(scores)
    CHOSEN.check(chosen)
    assert set(chosen.arm) == set(scores.arm)
    return scores


def test_arms_that_read_find_what_is_planted_in_words(by_text):
    f1 = by_text[by_text.labels.isin([0, 32])].groupby(["arm", "labels"]).f1.mean()
    assert f1["oracle", 0] > 0.95  # but for the last document, which may exceed the budget
    assert f1["random", 0] < 0.3
    for arm in ("classifier", "importance", "perplexity", "moore_lewis", "embedding"):
        assert f1[arm, 32] > 0.85, arm
    assert f1["random", 0] < f1["keywords", 0] < f1["moore_lewis", 32], "one of forty words is a weak rule"


def test_every_arm_chooses_as_many_tokens(pool, by_text):
    budget = budget_of(pool)
    assert by_text.tokens.between(budget, budget + pool.tokens.max()).all()


def test_arms_that_do_not_look_at_labels_have_none(by_text):
    learn = {name for name, arm in ARMS.items() if arm.labels}
    assert set(by_text.arm[by_text.labels > 0]) == learn & set(by_text.arm)
    assert (by_text.groupby(["arm", "labels"]).size() == SETTINGS.seeds).all()


def test_labels_help_a_classifier(pool):
    """Where no probe text is known to be of the target, and few words tell the target, all depends on the labels."""
    rng, f1, rows = np.random.default_rng(5), [], pool_rows(pool)
    texts = [f"{prose('common', 25, rng)} {prose('rare' if target else 'common', 5, rng)}" for target in pool.target]
    features = Features(pool.assign(text=texts))
    for labels in (2, 32):
        known = pool.document[pool.role == "label"].to_numpy()[:labels]
        case = Case(features, rows, known, np.array([], int))
        scores = ARMS["classifier"].score(case)
        f1.append(quality(scores, select(scores, pool.tokens.to_numpy()[rows], budget_of(pool)), case.truth).auprc)
    assert f1[0] < f1[1] - 0.02


# -- neurons that are planted ------------------------------------------------------------------------------------------


def planted(pool: pd.DataFrame, **change) -> NeuronFeatures:
    """Two layers of twenty neurons of noise; `strong` of them rise on the target by so many deviations."""
    rng = np.random.default_rng(2)
    signal = np.zeros(40)
    for neuron, size in change.pop("strong").items():
        signal[neuron] = size
    means = rng.normal(size=(len(pool), 40)) + np.outer(pool.target, signal)
    layer = np.repeat([0, 1], 20)
    about = {"shared": np.arange(40) % 2 == 0, "moments": np.tile([0.0, 1.0], (40, 1)), "chosen": (4, 7)}
    return NeuronFeatures(means, np.abs(means), layer, **(about | change))


def f1_of(pool: pd.DataFrame, neurons: NeuronFeatures) -> pd.Series:
    features = Features(pool, neurons=neurons)
    scores, _ = run_arms(features, arms_that_look(NEURONS), SETTINGS, {})
    return scores[scores.labels.isin([0, 32])].groupby("arm").f1.mean()


def test_one_neuron_is_best_where_it_alone_knows_the_target(pool):
    f1 = f1_of(pool, planted(pool, strong={4: 6.0}))
    assert f1["rosetta_neuron"] > 0.95
    assert f1["labelled_neuron"] == f1["rosetta_neuron"], "with labels nobody finds a better one"
    assert max(f1["other_neuron"], f1["matched_neuron"]) < 0.35
    assert f1["nag"] < f1["rosetta_neuron"]


def test_labels_find_a_neuron_that_falls_on_the_target(pool):
    f1 = f1_of(pool, planted(pool, strong={30: -6.0}))
    assert f1["labelled_neuron"] > 0.95
    assert f1["rosetta_neuron"] < 0.35


def test_a_probe_is_best_where_all_neurons_know_a_little(pool):
    f1 = f1_of(pool, planted(pool, strong=dict.fromkeys(range(40), 0.7)))
    assert f1["probe"] > f1.drop("probe").max() + 0.1


def test_sets_of_strong_neurons_are_best_among_those_that_hold_the_signal(pool):
    f1 = f1_of(pool, planted(pool, strong=dict.fromkeys(range(0, 40, 2), 4.0), shared=np.arange(40) % 4 != 1))
    assert f1["nag"] > 0.5
    odd = f1_of(pool, planted(pool, strong={0: 5.0, 20: 5.0}))
    assert odd["nag_rosetta"] > odd["nag_others"] + 0.3, "even neurons are Rosetta neurons"


def test_only_the_oracle_sees_which_documents_of_the_pool_are_of_the_target(pool):
    neurons, rows = planted(pool, strong={4: 2.0}), pool_rows(pool)
    vectors = np.random.default_rng(4).normal(size=(len(pool), 8)).astype(np.float32)
    known, others = known_rows(pool, 8, seed=0)
    lied = pool.assign(target=pool.target ^ (pool.role == "pool"))
    for name, arm in ARMS.items():
        told, deceived = (
            arm.score(Case(Features(documents, TASK.keywords, vectors, neurons), rows, known, others))
            for documents in (pool, lied)
        )
        assert np.array_equal(told, deceived) == (name != "oracle"), name


def test_sets_are_equally_large_in_every_layer(pool):
    neurons = planted(pool, strong={}, shared=np.arange(40) % 4 != 1)
    case = Case(Features(pool, neurons=neurons), pool_rows(pool), np.array([0]), np.array([1]))
    own, others = equally_many(case)
    for layer in (0, 1):
        assert (neurons.layer[own] == layer).sum() == (neurons.layer[others] == layer).sum() == 5
    assert neurons.shared[own].all()
    assert not neurons.shared[others].any()


def test_a_matched_neuron_is_another_one_of_the_same_layer_and_like_it(pool):
    moments = np.column_stack([np.arange(40.0), np.ones(40)])
    neurons = planted(pool, strong={}, moments=moments)
    drawn = {alike(neurons, seed) for seed in range(60)}
    assert drawn == set(range(11)) - {4}, "the ten with the nearest means, of layer 0, without neuron 4 itself"


def test_arms_whose_neuron_the_rule_does_not_find_are_left_out(pool):
    f1 = f1_of(pool, planted(pool, strong={4: 6.0}, chosen=(4, None)))
    assert "other_neuron" not in f1
    assert "rosetta_neuron" in f1


def test_the_rule_takes_contexts_before_strength():
    contexts = pd.DataFrame(
        {
            "neuron": np.repeat([0, 1, 2, 3], 2),
            "unit": [0, 1, 0, 1, 0, 5, 4, 5],
            "activation": [3.0, 3.0, 9.0, 9.0, 99.0, 99.0, 5.0, 5.0],
        }
    )
    in_target = np.array([True, True, False, False, False, False])
    moments = np.array([[0.0, 1.0], [0.0, 9.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]])  # the last one never changes
    table = context_table(contexts, in_target, moments, top=2)
    assert table.hits.tolist() == [2, 2, 1, 0, 0]
    assert choose(table, np.ones(5, bool)) == 0, "in its own deviations neuron 0 is stronger than 1"
    assert choose(table, np.array([False, False, True, True, True])) == 2, "the most contexts, if not all"
    assert choose(table, np.zeros(5, bool)) is None


# -- a model of bytes --------------------------------------------------------------------------------------------------


def test_hashed_counts_give_what_plain_counts_give():
    known, asked = ["the cat sat on the mat", "a cat"], ["the cat", "zebra", "at the cat sat"]
    counts: collections.Counter = collections.Counter()
    contexts: collections.Counter = collections.Counter()
    for text in known:
        data = b"\n" * ORDER + text.encode()
        for end in range(ORDER, len(data)):
            for n in range(1, ORDER + 1):
                counts[data[end - n + 1 : end + 1]] += 1
                contexts[n, data[end - n + 1 : end]] += 1
    for text, found in zip(asked, ByteModel(known).log_probabilities(asked), strict=True):
        data, total = b"\n" * ORDER + text.encode(), 0.0
        for end in range(ORDER, len(data)):
            p = 1 / 256
            for n in range(1, ORDER + 1):
                seen, context = counts[data[end - n + 1 : end + 1]], contexts[n, data[end - n + 1 : end]]
                p = (seen + PRIOR * p) / (context + PRIOR)
            total += math.log(p)
        assert found == pytest.approx(total / len(text)), text


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer(corpus) -> Tokenizer:
    return train_tokenizer(corpus.text.tolist(), Family(architecture="gpt_neox", vocabulary=300))


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
def test_documents_are_read_as_means_over_their_tokens(tokenizer, architecture):
    """One passage per document, so that plain calls of the network give the same."""
    model = tiny_model(architecture)
    texts = ["rare1 word30 and more", "word21", "word22 rare3 rare4 word30 word31 tail"]
    read = read_documents(model, tokenizer, texts, units=Units(passage_bytes=200, max_tokens=64), device=CPU)
    mlps = find_mlps(model)
    width = read.means.shape[1] // len(mlps)
    for row, text in enumerate(texts):
        ids = torch.tensor([tokenizer.encode(text).ids])
        seen = seen_by(model, mlps[1], ids)
        assert read.means[row, width:] == pytest.approx(seen["down"][1:].mean(0).numpy(), abs=1e-5)
        assert read.magnitudes[row, width:] == pytest.approx(seen["up"][1:].abs().mean(0).numpy(), abs=1e-5)
    assert read.layer.tolist() == [0] * width + [1] * width


def seen_by(model: torch.nn.Module, mlp, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """What flows into the way back of an MLP, and out of its way up."""
    seen: dict[str, torch.Tensor] = {}
    handles = [
        mlp.down.register_forward_pre_hook(lambda _, arguments: seen.update(down=arguments[0][0])),
        mlp.ups[-1].register_forward_hook(lambda _, arguments, output: seen.update(up=output[0])),
    ]
    with torch.no_grad():
        model(input_ids=ids)
    for handle in handles:
        handle.remove()
    return seen


def test_long_documents_are_means_over_passages(tokenizer):
    model, text = tiny_model("gpt_neox"), " ".join(f"word{i}" for i in range(20, 60))
    units = Units(passage_bytes=40, max_tokens=64)
    whole = read_documents(model, tokenizer, [text], units=units, device=CPU)
    parts = [text.encode()[start : start + 40].decode() for start in range(0, len(text), 40)]
    single = read_documents(model, tokenizer, parts, units=units, device=CPU)
    tokens = np.array([len(tokenizer.encode(part).ids) - 1 for part in parts])
    assert len(parts) > 3
    assert whole.means[0] == pytest.approx(tokens @ single.means / tokens.sum(), abs=1e-5)


# -- training ----------------------------------------------------------------------------------------------------------


def test_what_is_chosen_decides_what_is_learnt(pool, tokenizer, tmp_path):
    family, size = (
        Family(architecture="gpt_neox", vocabulary=300),
        Size(hidden_size=12, layers=1, heads=2, learning_rate=0.03),
    )
    tiny_model("gpt_neox", layers=1).save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    ladder = Ladder(context=32, batch_sequences=4)
    start = FurtherTask(family, size, ladder, tmp_path, origin=tmp_path, texts=[], probes={})
    further = Further(start, pool, SETTINGS.model_copy(update={"learning_rates": (0.5, 1.0)}), CPU)
    rows = pool[pool.role == "pool"]
    chosen = pd.DataFrame(
        [
            (arm, seed, doc)
            for arm, side in (("oracle", True), ("random", False))
            for seed in (0, 1)
            for doc in rows.document[rows.target == side][:20]
        ],
        columns=CHOSEN.names,
    )
    runs = train_on_choices(further, pool, chosen)
    RUNS.check(runs)
    assert runs.groupby("arm").size().to_dict() == {"start": 1, "oracle": 4, "random": 4, "all_data": 4}
    bits = runs.groupby("arm")[["target_bits", "other_bits"]].mean()
    assert bits.target_bits["oracle"] < bits.target_bits["random"] < bits.target_bits["start"]
    assert bits.other_bits["random"] < bits.other_bits["oracle"]
    again = further.losses(
        pool.set_index("document").text[chosen.document[chosen.arm == "oracle"][:20]].tolist(), 0.5, 0
    )
    assert again == tuple(runs.loc[(runs.arm == "oracle") & (runs.seed == 0), ["target_bits", "other_bits"]].iloc[0])


# -- tables and verdicts -----------------------------------------------------------------------------------------------


def found_tables(rosetta: float, other: float, classifier: float, lost: float) -> dict[str, pd.DataFrame]:
    """What jobs would have written about two tasks, where F1 and losses have these means and little scatter."""
    rng, scores, runs, chosen = np.random.default_rng(3), [], [], []
    f1 = {
        "rosetta_neuron": rosetta,
        "other_neuron": other,
        "matched_neuron": 0.1,
        "nag_rosetta": 0.5,
        "nag_others": 0.5,
    }
    bits = {"oracle": 1.0, "random": 2.0, "rosetta_neuron": 1.0 + lost, "all_data": 1.5}
    for task in ("one", "two"):
        for curve in ("a", "b", "c"):
            for size, rung in ((100, "r1"), (1000, "r2")):
                chosen += [(task, curve, rung, name, size // 2) for name in ("Rosetta neurons", "others")]
                for arm, value in f1.items():
                    labels = 32 if ARMS[arm].labels else 0
                    scores.append(
                        (task, curve, rung, arm, labels, 0, value + 0.05 * (size > 100) + 0.01 * rng.normal())
                    )
        scores += [(task, "", "", "classifier", 32, seed, classifier + 0.01 * rng.normal()) for seed in range(3)]
        runs.append((task, "start", 0.0, 0, 2.5))
        runs += [
            (task, arm, rate, seed, value + 0.01 * rng.normal())
            for arm, value in bits.items()
            for rate in SETTINGS.learning_rates
            for seed in range(4)
        ]
    table = pd.DataFrame(scores, columns=["task", "curve", "rung", "arm", "labels", "seed", "f1"])
    return {
        "pools": pd.DataFrame(),
        "scores": table.assign(auprc=table.f1, tokens=100, seconds=1.0),
        "runs": pd.DataFrame(runs, columns=["task", "arm", "learning_rate", "seed", "target_bits"]).assign(
            other_bits=2.0
        ),
        "chosen_neurons": pd.DataFrame(chosen, columns=["task", "curve", "rung", "candidates", "size"]),
    }


@pytest.mark.parametrize(
    ("truth", "verdicts"),
    [
        ((0.9, 0.3, 0.9, 0.0), ["supported", "supported", "supported"]),
        ((0.3, 0.9, 0.9, 0.5), ["not supported", "not supported", "not supported"]),
        ((0.5, 0.5, 0.5, 0.1), ["inconclusive", "supported", "inconclusive"]),
    ],
)
def test_verdicts_follow_planted_truth(truth, verdicts):
    tables = summary(found_tables(*truth))
    claims = judge(tables, SETTINGS)
    assert [claim.verdict for claim in claims[:3]] == verdicts
    assert claims[3].verdict == "supported", "it gets better with size"
    assert claims[-1].verdict == "supported", "the oracle helps"
    assert all(claim.caveat and claim.statistic and claim.sentence for claim in claims)


def summary(found: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    training = results.training_table(found["runs"], SETTINGS)
    return {
        "training": training,
        "contrasts": results.contrast_table(found["scores"], found["chosen_neurons"], SETTINGS),
        "arms": results.arm_table(found["scores"], training, SETTINGS),
        "selection": results.selection_table(found["scores"], SETTINGS),
    }


def test_every_arm_stands_in_the_one_table():
    tables = summary(found_tables(0.9, 0.3, 0.8, 0.1))
    for name in ("training", "contrasts", "arms", "selection"):
        TABLES_OF_STUDY[name].check(tables[name])
    arms = tables["arms"].set_index("arm")
    assert list(arms.index) == [*ARMS, "all_data"]
    assert arms.f1["rosetta_neuron"] == pytest.approx(0.925, abs=0.02)
    assert arms.gain_low_rate["oracle"] == pytest.approx(1)
    assert arms.gain_low_rate["random"] == pytest.approx(0)
    assert arms.gain_high_rate["all_data"] == pytest.approx(0.5, abs=0.05)
    assert arms.other_low_rate["oracle"] == pytest.approx(0), "the loss on other text is that before training"


def test_without_a_gain_of_the_oracle_nothing_is_said_of_what_is_lost():
    found = found_tables(0.9, 0.3, 0.8, 0.1)
    runs = found["runs"]
    runs.loc[runs.arm == "random", "target_bits"] = 0.5
    training = results.training_table(runs, SETTINGS)
    assert training.lost.isna().all()
    claims = judge(summary(found), SETTINGS)
    assert [claims[2].verdict, claims[-1].verdict] == ["inconclusive", "inconclusive"]


def test_pools_are_counted(pool):
    made = results.pool_table(pool.assign(task="planted"))
    TABLES_OF_STUDY["pools"].check(made)
    assert made.budget[0] == budget_of(pool)
    assert made.targets[0] == ((pool.role == "pool") & pool.target).sum()


def test_figures_show_every_arm():
    from rosetta_scaling.companions.filtering.figures import arms_data, curves_data, draw_arms, draw_curves

    found = found_tables(0.9, 0.3, 0.8, 0.1)
    tables = summary(found) | {"chosen_neurons": found["chosen_neurons"]}
    data = arms_data(tables, SETTINGS)
    assert set(data.arm) == set(found["scores"].arm) | {"oracle", "random", "all_data"}
    drawn = draw_arms(data, tables, SETTINGS)
    shown = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert shown == [results.ARMS[name].label for name in ARMS if name in set(data.arm)] + ["all data, same compute"]
    curves = curves_data(tables, SETTINGS)
    assert set(curves.x[curves.panel == "size"]) == {100, 1000}
    draw_curves(curves, tables, SETTINGS)


def test_settings_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match="training_labels is 5; expected one of labels"):
        FilteringSettings(training_labels=5)
    with pytest.raises(ValueError, match="among names 'a', the target itself"):
        Task(domain="a", among=["a"], keywords="x")
    with pytest.raises(ValueError, match="no regular expression"):
        Task(domain="a", among=["b"], keywords="(")
