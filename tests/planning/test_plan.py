"""Plans: tiles that fit, sizes that are those of the real networks, and choices that respect the budgets."""

import multiprocessing
from math import inf

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import tiny_model

from rosetta_scaling import WORKFLOW
from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.config.activations import Activations
from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Size
from rosetta_scaling.config.matching import Matching
from rosetta_scaling.config.parsing import load, parse
from rosetta_scaling.config.study import Study
from rosetta_scaling.config.units import Units
from rosetta_scaling.formatting import duration
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.matching.tiles import Tile, tiles
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.manifests import describe
from rosetta_scaling.networks.model_sizes import folder_size, trained_size, transformer_size
from rosetta_scaling.networks.towers import model_class
from rosetta_scaling.numerics.devices import claim, product_rate, sketch_dtype
from rosetta_scaling.planning.costs import pair_work, training_work
from rosetta_scaling.planning.plan import make_plan
from rosetta_scaling.planning.rates import H100, Rates, rates_of_card
from rosetta_scaling.planning.study_plan import StudyPlan
from rosetta_scaling.planning.tables import hours_in_all, model_plans, pair_plans, plan_table
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import write_json

CPU = torch.device("cpu")


@given(a=st.integers(1, 5000), b=st.integers(1, 5000), megabytes=st.integers(2, 500))
def test_tiles_cover_every_pair_of_neurons_once_and_fit(a, b, megabytes):
    found = tiles(a, b, megabytes * 10**6)
    assert sum((t.a1 - t.a0) * (t.b1 - t.b0) for t in found) == a * b
    assert {t.a0 for t in found} | {a} == {t.a1 for t in found} | {0}
    assert {t.b0 for t in found} | {b} == {t.b1 for t in found} | {0}
    assert max(t.bytes for t in found) <= megabytes * 10**6


def test_the_quarters_of_a_tile_are_the_tile():
    parts = Tile(3, 10, 5, 6).quarters()
    assert parts == [Tile(3, 6, 5, 6), Tile(6, 10, 5, 6)]


def test_the_size_of_a_trained_network_is_the_real_one(architecture):
    size = trained_size(
        Family(architecture=architecture, vocabulary=300), Size(hidden_size=12, layers=2, heads=2, learning_rate=0.1)
    )
    about = describe(tiny_model(architecture))
    assert list(size.widths) == about["neurons"]
    assert 0.85 < size.parameters / about["parameters"] < 1.15  # norms, biases and positions are left out


def test_the_size_of_a_folder_is_the_real_one(architecture, tmp_path):
    model = tiny_model(architecture)
    model.config.save_pretrained(tmp_path)
    size = folder_size(tmp_path)
    assert list(size.widths) == describe(model)["neurons"]


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("DistilBert", {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}),
        ("XLM", {"emb_dim": 32, "n_layers": 2, "n_heads": 4}),
        ("Mpt", {"d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 3}),
        ("GPTNeo", {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global"], 2]]}),
    ],
)
def test_sizes_by_other_names_are_those_of_the_network(kind, sizes, tmp_path):
    made = getattr(transformers, f"{kind}Config")(**sizes, vocab_size=120)
    made.save_pretrained(tmp_path)
    about = describe(model_class(made).from_config(made))
    size = folder_size(tmp_path)
    assert list(size.widths) == about["neurons"]
    assert (size.hidden, size.vocabulary) == (32, 120)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"config.json names the model_type None; expected one that transformers knows"),
        ({"model_type": "gpt9"}, r"names the model_type 'gpt9'; expected one that transformers knows"),
        ({"model_type": "gpt2", "n_layer": "two"}, r"config.json is no configuration of a gpt2 \(.*expected int"),
        ({"model_type": "distilbert", "dim": 30, "n_heads": 4}, r"cannot build a distilbert of this configuration"),
        ({"model_type": "resnet", "layer_type": "basic"}, r"ResNetModel: found no linear map, no expansion"),
        ({"model_type": "gemma3n_text"}, r"found 2 MLP down-projections per block"),
    ],
)
def test_a_configuration_of_no_known_size_is_refused_in_one_sentence(values, message, tmp_path):
    write_json(tmp_path / "config.json", values)
    with pytest.raises(StudyError, match=message):
        folder_size(tmp_path)


MODELS = {"a-r1": transformer_size(4, 2048, 512, 1000), "b-r1": transformer_size(4, 2048, 512, 1000)}
PAIRS = {"a-r1--b-r1": ("a-r1", "b-r1")}


def plan(units: int = 90_000, **matching):
    sections = {"matching": Matching(**matching), "activations": Activations(), "units": Units()}
    study = load(WORKFLOW / "studies/smoke.yaml").model_copy(update=sections)
    assert study.nulls.untrained_draws == 1
    return make_plan(study, MODELS, PAIRS, units)


def test_activations_are_stored_while_the_disk_budget_lasts():
    bytes_needed = 2 * 8192 * 90_000 * 2 * 2
    assert plan(scratch_gb=bytes_needed * 1.01 / 1e9).placement == "stored"
    assert plan(scratch_gb=bytes_needed * 0.99 / 1e9, memory_mb=2000).placement == "recomputed"
    assert plan(scratch_gb=bytes_needed * 0.99 / 1e9, memory_mb=4000).placement == "one_pass"


def test_networks_that_are_read_take_their_part_of_the_memory():
    stored, recomputed = plan(memory_mb=2000, placement="stored"), plan(memory_mb=2000, placement="recomputed")
    assert len(stored.tiles["a-r1--b-r1"]) < len(recomputed.tiles["a-r1--b-r1"])
    assert stored.free_bytes(MODELS) == 2 * 10**9 > recomputed.free_bytes(MODELS)


def test_sketches_are_taken_where_they_pay():
    assert plan(units=98_303, memory_mb=2000).engine == "exact"
    assert plan(units=98_304, memory_mb=2000).engine == "sketch"
    assert plan(units=98_304, memory_mb=300).engine == "exact", "re-scoring does not fit"


def test_budgets_that_cannot_hold_are_refused():
    with pytest.raises(StudyError, match=r"is one_pass, but .* makes 4 tiles of a-r1--b-r1"):
        plan(placement="one_pass", memory_mb=2000)
    with pytest.raises(StudyError, match="reading a-r1 and b-r1 takes 1,317 MB"):
        plan(placement="recomputed", memory_mb=600)
    with pytest.raises(StudyError, match=r"one neuron of each model takes 0\.1 MB; raise it"):
        tiles(10, 10, 10**4)
    with pytest.raises(StudyError, match=r"100,172 tiles, more than 100,000 jobs; raise it"):
        tiles(4096, 4109, 10**6)
    with pytest.raises(StudyError, match="re-scoring a-r1, b-r1 together needs"):
        plan(placement="stored", memory_mb=100).rescoring_chunk({"a-r1": 8192, "b-r1": 8192})
    many = {model: transformer_size(64, 8192, 2048, 1000) for model in MODELS}
    settings = {"matching": Matching(memory_mb=200, placement="stored")}
    with pytest.raises(StudyError, match=r"jobs would match tiles, \d+ for each of the [\d,]+ tiles of a-r1--b-r1"):
        make_plan(load(WORKFLOW / "studies/smoke.yaml").model_copy(update=settings), many, PAIRS, 10)


def planned(study: Study) -> StudyPlan:
    return StudyPlan(Layout(study, corpus_key="k"))


def test_scratch_is_checked_against_the_true_number_of_units():
    smoke = planned(load(WORKFLOW / "studies/smoke.yaml"))
    smoke.matching.check_scratch(6000, smoke.study.matching.scratch_gb)
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    values["matching"] |= {"placement": "stored", "scratch_gb": 1e-4}
    with pytest.raises(StudyError, match=r"matching\.scratch_gb is 0\.0001; raise it"):
        planned(parse(values)).matching.check_scratch(6000, 1e-4)


def test_the_plan_as_text_names_every_pair_and_its_work():
    smoke = planned(load(WORKFLOW / "studies/smoke.yaml"))
    here, card = Rates("here", products=1e9, forward=5e8), Rates("a card", 1e12, 1e12, reading=1e6, passes=2)
    table = pair_plans(smoke, here, card).set_index("pair")
    row = table.loc["neox-r3--bloom-r3"]
    draws = 1 + 11 + 1 + 2  # the real pair, nulls (six of them rotations), halves, and each model with itself
    assert row.product_flops == draws * 2 * 128 * 128 * smoke.matching.units
    assert row.hours_here == pytest.approx((row.product_flops / 1e9 + row.forward_flops / 5e8) / 3600)
    # Every draw reads both models, and each is matched with itself. A GPU reads them twice, which takes longest here.
    assert row.read_bytes == (draws - 2 + 2) * 2 * 128 * 2 * smoke.matching.units
    assert row.hours_card == pytest.approx((2 * row.read_bytes / 1e6 + 2 * row.forward_flops / 1e12) / 3600)
    assert row.bound == "disk"
    assert pair_plans(smoke, here, card._replace(forward=1e6)).bound.eq("forward pass").all()
    assert pair_plans(smoke, here, card._replace(products=1e6)).bound.eq("products").all()
    text = plan_table(smoke, here, card)
    assert all(pair in text for pair in smoke.layout.pairs)
    assert "(1 GFLOP/s, here)" in text
    assert "61.4 MB" in text


@pytest.mark.parametrize(("k", "share"), [(1, 40 / 128), (5, 120 / 128), (7, 1)])
def test_nulls_of_some_neurons_are_planned_with_all_partners_of_their_partners(k, share):
    values = load(WORKFLOW / "studies/smoke.yaml").model_dump(mode="json")
    values["nulls"]["rows"], values["matching"]["criteria"] = 10, [{"k": k, "min_r": 0.0}]
    sampled = planned(parse(values))
    draws = 1 + 2 + 1 + 11 * share  # the real pair, each model with itself, halves, nulls
    work, whole = pair_work(sampled, "neox-r3--bloom-r3"), planned(load(WORKFLOW / "studies/smoke.yaml"))
    assert work.products == pytest.approx(draws * 2 * 128 * 128 * sampled.matching.units)
    # Both networks once; and one of two for every draw inside it, once before it and once for each reading.
    inside, once = 1 + 4 * (1 + 4) / 2, 1 + 4 * (1 + 1) / 2
    assert work.forward == pytest.approx(inside / once * pair_work(whole, "neox-r3--bloom-r3").forward)
    assert work.read > 2 * pair_work(whole, "neox-r3--bloom-r3").read, "each draw is read four times"


def test_training_counts_in_the_plan_of_networks_that_are_trained_here():
    smoke = planned(load(WORKFLOW / "studies/smoke.yaml"))
    size, work = smoke.size("neox-r3"), training_work(smoke, "neox-r3")
    assert work == (6 * size.parameters * 30_000, 59)  # of 8 sequences of 64 tokens
    slow = Rates("here", 1e18, 1e18, training=1e9, step=2.0)
    assert slow.training_seconds(work) == pytest.approx(work.operations / 1e9 + 118)
    assert model_plans(smoke).training_flops.min() > 0
    hours = sum(slow.training_seconds(training_work(smoke, model)) for model in smoke.layout.models) / 3600
    assert f"all takes {duration(3600 * hours)} of one job here" in plan_table(smoke, slow, slow)
    assert training_work(planned(load(WORKFLOW / "studies/pretrained.yaml")), "mpnet-base") == (0, 0)


def test_forward_passes_of_narrow_networks_are_slower_on_a_card():
    smoke = planned(load(WORKFLOW / "studies/smoke.yaml"))
    work = pair_work(smoke, "neox-r3--bloom-r3")
    assert work.hidden == 16
    measured = Rates("a card", products=1e12, forward=1e12, passes=2, wide=64)
    assert measured.parts(work)["forward pass"] == pytest.approx(4 * 2 * work.forward / 1e12)
    assert measured._replace(wide=8).parts(work)["forward pass"] == pytest.approx(2 * work.forward / 1e12)
    none = Rates("nothing else", products=inf, forward=1e6, training=inf)
    seconds = model_plans(smoke).pass_flops.sum() * 2 + sum(pair_work(smoke, p).forward for p in smoke.layout.pairs)
    assert hours_in_all(smoke, none) == pytest.approx(seconds / 1e6 / 3600)


def test_rates_are_those_of_the_card_that_was_measured_last(tmp_path):
    assert rates_of_card(tmp_path) == H100
    figures = {
        "match_tile": {"tflops": 300.0},
        "forward pass": {"parameters": 10**9, "pooled_tokens_per_s": 1e5},
        "files": {"seconds": 2.0},
    }
    found = {"card": "A card", "device": "cuda", "date": "2027-01-01", "figures": figures}
    found["sizes"] = {"neurons": 1000, "file_units": 5000}
    write_json(tmp_path / "a.json", found)
    write_json(tmp_path / "of-a-processor.json", found | {"device": "cpu"})
    write_json(tmp_path / "bench.json", {"exact_share": 0.9})
    write_json(tmp_path / "halted.json", found | {"figures": {"match_tile": {"tflops": 1.0}}})
    assert rates_of_card(tmp_path) == H100._replace(
        device="A card, measured on 2027-01-01", products=3e14, forward=2e14, reading=1e7
    )


def _claim(folder, queue, done):
    queue.put(claim(2, folder))
    done.wait()


@pytest.mark.slow(0.2)
def test_processes_claim_different_devices_and_share_when_all_are_taken(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue, done = context.Queue(), context.Event()
    processes = [context.Process(target=_claim, args=(tmp_path, queue, done)) for _ in range(3)]
    found = []
    for process in processes:
        process.start()
        found.append(queue.get(timeout=60))
    done.set()
    for process in processes:
        process.join()
    assert found == [0, 1, 0]
    assert claim(2, tmp_path) == 0, "a claim ends with its process"


def test_rates_are_measured():
    assert product_rate(CPU, side=256) > 1e8
    assert sketch_dtype(CPU) in (torch.float32, torch.bfloat16)


def test_a_network_spread_over_memory_and_disk_is_read_the_same(tmp_path):
    """What accelerate does for networks larger than a GPU, on a machine without one."""
    import pandas as pd

    model = tiny_model("gpt_neox")
    model.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    parts = ["embed_in", "emb_dropout", "rotary_emb", "layers.0", "layers.1", "final_layer_norm"]
    places = {f"gpt_neox.{part}": "disk" if part == "layers.1" else "cpu" for part in parts}
    spread = load_model(tmp_path, CPU, device_map=places | {"lm_head": "cpu"})
    assert spread.gpt_neox.layers[1].mlp.dense_h_to_4h.weight.device.type == "meta", "this block is on disk"
    tokens = pd.DataFrame({"passage": 0, "position": range(9), "token": range(9), "unit": range(-1, 8)})
    chunks = [
        next(ForwardPass(m, TextInputs(m, tokens, CPU), Reading(4, "float32", CPU)).chunks()) for m in (model, spread)
    ]
    torch.testing.assert_close(*chunks, atol=0, rtol=0)
