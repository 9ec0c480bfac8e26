"""Hooks, forward passes and extraction on real networks: what is read, pooled and stored, in whatever pieces."""

import itertools
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_sources import write_stored
from tiny_networks import tiny_model

from rosetta_scaling.activations import extract as activations
from rosetta_scaling.activations.extract import Extraction, extract
from rosetta_scaling.activations.forward import ForwardPass, Reading, transposed
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.activations.sources import StoredActivations, copied
from rosetta_scaling.activations.statistics import LabelMatrix, NeuronStatistics, WorkSpace
from rosetta_scaling.config.activations import Activations
from rosetta_scaling.networks.linear import neurons_of, weight_out
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.networks.manifests import describe
from rosetta_scaling.networks.mlps import find_blocks, find_down_projections, read_inputs
from rosetta_scaling.selectivity.input_side import input_metrics
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table
from rosetta_scaling.store.tensors import TensorFile, read_tensors, write_tensors
from rosetta_scaling.units.labels import label_units
from rosetta_scaling.units.neurons import layer_and_channel

CPU = torch.device("cpu")
CHUNK = 16  # so that several chunks and shards exist


def by_hand(model, layer: int, ids: torch.Tensor) -> torch.Tensor:
    """MLP neurons of one block, recomputed from the block's input and weights."""
    inputs = {}
    base = model.base_model
    block = (base.h if hasattr(base, "h") else base.layers)[layer]
    mlp = block.mlp
    handle = mlp.register_forward_pre_hook(lambda _m, args: inputs.update(x=args[0]))
    model(input_ids=ids)
    handle.remove()
    x = inputs["x"]
    if hasattr(mlp, "gate_proj"):
        return torch.nn.functional.silu(x @ mlp.gate_proj.weight.T) * (x @ mlp.up_proj.weight.T)
    if hasattr(mlp, "c_fc"):
        return torch.nn.functional.gelu(x @ mlp.c_fc.weight + mlp.c_fc.bias, approximate="tanh")
    approximate = "tanh" if model.config.model_type == "bloom" else "none"
    return torch.nn.functional.gelu(x @ mlp.dense_h_to_4h.weight.T + mlp.dense_h_to_4h.bias, approximate=approximate)


def test_reads_what_flows_into_the_down_projection(architecture):
    model = tiny_model(architecture)
    modules = find_down_projections(model)
    ids = torch.randint(0, 300, (2, 9), generator=torch.Generator().manual_seed(0))
    read = {}
    with torch.no_grad(), read_inputs(dict(enumerate(modules)), read.__setitem__):
        model(input_ids=ids)
        pytest.fail("the pass ends once the last module has been read")
    assert list(read) == [0, 1]
    assert not any(module._forward_pre_hooks for module in modules)
    with torch.no_grad():
        for layer, module in enumerate(modules):
            torch.testing.assert_close(read[layer], by_hand(model, layer, ids), atol=1e-5, rtol=1e-4)
            assert weight_out(module).shape == (12, read[layer].shape[-1])
            assert neurons_of(module) == read[layer].shape[-1]


def test_hooks_are_removed_when_a_pass_fails():
    modules = find_down_projections(tiny_model("gpt2"))
    with pytest.raises(KeyboardInterrupt), read_inputs(dict(enumerate(modules)), print):
        raise KeyboardInterrupt
    assert not any(module._forward_pre_hooks for module in modules)


def test_a_network_without_mlps_is_refused():
    model = tiny_model("gpt2")
    model.base_model.h[1].mlp = torch.nn.Identity()
    with pytest.raises(StudyError, match="not supported"):
        find_down_projections(model)


def test_embeddings_are_not_counted(architecture):
    model = tiny_model(architecture, hidden=12, layers=2, vocabulary=300)
    larger = tiny_model(architecture, hidden=12, layers=2, vocabulary=500)
    assert describe(model)["non_embedding_parameters"] == describe(larger)["non_embedding_parameters"]
    assert describe(larger)["parameters"] - describe(model)["parameters"] == 2 * 200 * 12


def study_tables(passages: int = 24, vocabulary: int = 300):
    """Tokens of passages of different lengths, one to three tokens per unit, the first token in none.

    Passages 0, 7, 8 and the last one have no unit; passages 3 and 5 go on after their last unit.
    """
    rng = np.random.default_rng(0)
    rows, unit = [], 0
    for passage in range(passages):
        of_tokens = [-1]
        for _ in range(0 if passage in (0, 7, 8, passages - 1) else rng.integers(3, 12)):
            of_tokens += [unit] * rng.integers(1, 4)
            unit += 1
        of_tokens += [-1] * {3: 20, 5: 1}.get(passage, 0)
        rows += [(passage, position, rng.integers(vocabulary), at) for position, at in enumerate(of_tokens)]
    tokens = pd.DataFrame(rows, columns=["passage", "position", "token", "unit"])
    passage = tokens[tokens.unit >= 0].groupby("unit").passage.first().to_numpy()
    units = pd.DataFrame({"unit": range(unit), "passage": passage, "doc": passage // 2, "start": range(unit)})
    domain, text = [f"d{doc % 3}" for doc in units.doc], rng.choice(["a", "b", "c", "d"], unit, p=[0.4, 0.3, 0.2, 0.1])
    return tokens, units.assign(end=units.start + 1, domain=domain, text=text)


def run(model, folder, weights="w", store=True, measure=True, chunk=CHUNK, **settings):
    tokens, units = study_tables()
    settings = Activations(**({"dtype": "float32", "shards": 3, "batch_passages": 5} | settings))
    out, work = folder / "out", folder / "work"
    job = Extraction("m", settings, weights, out, work, measure, store, chunk)
    extract(job, model, tokens, units, device=CPU)
    return StoredActivations(out) if store else None


def forward_pass(model, batch: int = 5, chunk: int = CHUNK, displacement: int = 0, dtype: str = "float32"):
    inputs = TextInputs(model, study_tables()[0], CPU)
    return ForwardPass(model, inputs, Reading(batch, dtype, CPU, chunk), displacement=displacement)


def whole(source, *arguments, **options) -> torch.Tensor:
    """All chunks of a source, side by side: (neurons, units)."""
    return torch.cat([chunk.clone() for chunk in source.chunks(*arguments, **options)], 1)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


# -- what is pooled --------------------------------------------------------------------------------------------------


def test_pooled_activations_are_means_over_the_tokens_of_a_unit(architecture, tmp_path):
    model = tiny_model(architecture)
    tokens, units = study_tables()
    stored = whole(run(model, tmp_path))
    assert stored.shape == (sum(describe(model)["neurons"]), len(units))
    checked = []
    for passage, rows in tokens.groupby("passage"):
        with torch.no_grad():
            ids = torch.tensor(rows.token.to_numpy())[None]
            hidden = torch.cat([by_hand(model, layer, ids)[0] for layer in range(2)], 1)  # (tokens, neurons)
        for unit, members in rows[rows.unit >= 0].groupby("unit"):
            expected = hidden[members.position.tolist()].mean(0)
            torch.testing.assert_close(stored[:, unit], expected, atol=1e-5, rtol=1e-4, msg=f"passage {passage}")
            checked.append(unit)
    assert checked == list(range(len(units)))


def test_passages_of_a_batch_may_come_in_one_row():
    """OPT flattens them before its MLPs."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "ffn_dim": 40, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 300}
    config = transformers.OPTConfig(**sizes, max_position_embeddings=64, word_embed_proj_dim=12)
    model = transformers.OPTForCausalLM(config).eval()
    found, (tokens, _) = whole(forward_pass(model)), study_tables()
    for _, rows in tokens[tokens.unit >= 0].groupby("passage"):
        passage = tokens[tokens.passage == rows.passage.iloc[0]]
        read = {}
        modules = dict(enumerate(layer.fc2 for layer in model.model.decoder.layers))
        with torch.no_grad(), read_inputs(modules, read.__setitem__):
            model(input_ids=torch.tensor(passage.token.to_numpy())[None])
        hidden = torch.cat([read[0], read[1]], 1)
        for unit, members in rows.groupby("unit"):
            assert_close(found[:, unit], hidden[members.position.tolist()].mean(0))


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_padding_and_batches_do_not_matter(architecture, batch):
    model = tiny_model(architecture)
    assert_close(whole(forward_pass(model, batch)), whole(forward_pass(model)))


def test_every_batch_is_of_similar_length():
    source = forward_pass(tiny_model("gpt2"), batch=3)
    length = source.inputs.lengths
    seen = []
    for begin, end, batches in source.windows(0, source.units):
        together = np.concatenate(batches)
        assert (np.diff(length[together]) >= 0).all()
        assert max(map(len, batches)) <= 3
        seen += [*range(begin, end)]
    assert seen == list(range(source.units))


def test_values_are_rounded_as_they_are_stored(tmp_path):
    model = tiny_model("gpt2")
    exact = whole(forward_pass(model))
    for dtype in ("bfloat16", "float16"):
        stored, computed = whole(run(model, tmp_path / dtype, dtype=dtype)), whole(forward_pass(model, dtype=dtype))
        assert stored.dtype == computed.dtype == getattr(torch, dtype)
        for values in (stored, computed):
            torch.testing.assert_close(values.float(), exact, atol=1e-4, rtol=2.0**-8)


# -- how far a network is run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "blocks", "whole_blocks"),
    [(0, 1, 1, 0), (0, 48, 1, 0), (47, 49, 2, 1), (48, 96, 2, 1), (60, 61, 2, 1), (10, 144, 3, 2), (96, 144, 3, 2)],
)
def test_a_pass_ends_inside_the_last_block_that_is_needed(first, last, blocks, whole_blocks):
    model = tiny_model("gpt2", layers=3)  # 48 neurons per layer
    source, expected = forward_pass(model, batch=100), whole(forward_pass(model))  # one batch
    entered, left, beyond = [], [], []
    for layer, block in enumerate(find_blocks(model)):
        block.register_forward_pre_hook(lambda *_, layer=layer: entered.append(layer))
        block.register_forward_hook(lambda *_, layer=layer: left.append(layer))
    for module in (model.base_model.ln_f, model.get_output_embeddings(), find_down_projections(model)[blocks - 1]):
        module.register_forward_hook(lambda *_: beyond.append(1))
    found = whole(source, first, last)
    assert entered == list(range(blocks))
    assert left == list(range(whole_blocks))
    assert not beyond, "neither the last down-projection nor logits are computed"
    assert_close(found, expected[first:last])


def test_passages_without_units_are_not_run():
    model, widths = tiny_model("gpt2"), []
    source = forward_pass(model, batch=1)
    model.register_forward_pre_hook(lambda _m, _a, options: widths.append(len(options["input_ids"])), with_kwargs=True)
    whole(source)
    assert widths == [1] * 20, "4 of 24 passages have no unit"


# -- pieces ----------------------------------------------------------------------------------------------------------


LENGTHS = (1, 7, CHUNK, 50, 1000)
COUNT = len(study_tables()[1])


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A network, its activations by one plain pass, and the folder where they are stored in chunks of each length."""
    model = tiny_model("llama")
    folder = tmp_path_factory.mktemp("stored")
    for chunk in LENGTHS:
        run(model, folder / str(chunk), measure=False, chunk=chunk)
    return model, whole(forward_pass(model, chunk=1000)), folder


@settings(max_examples=60)
@given(
    chunk=st.sampled_from(LENGTHS),
    batch=st.integers(1, 30),
    displacement=st.integers(-COUNT, 2 * COUNT),
    ends=st.tuples(st.integers(0, 63), st.integers(0, 63)),
    first=st.integers(0, 30),
)
@pytest.mark.slow(0.1)
def test_forward_passes_and_files_give_the_same_chunks(reference, chunk, batch, displacement, ends, first):
    model, values, folder = reference
    start, stop = min(ends), max(ends) + 1
    expected = values.roll(displacement, 1)[start:stop].split(chunk, 1)
    stored = StoredActivations(folder / str(chunk) / "out", displacement)
    computed = forward_pass(model, batch, chunk, displacement)
    assert stored.widths == computed.widths
    assert stored.units == computed.units == COUNT
    assert stored.chunk == computed.chunk == chunk
    for found in (
        [values.clone() for values in stored.chunks(start, stop)][first:],
        [values.clone() for values in computed.chunks(start, stop, first)],
    ):
        assert len(found) == len(expected[first:])
        for one, other in zip(found, expected[first:], strict=True):
            assert_close(one, other)


@pytest.mark.parametrize("chunk", [1, 7, 65, 130, 1000])
def test_rows_are_the_chunks_the_other_way_round(chunk):
    source = forward_pass(tiny_model("gpt2"), chunk=chunk, displacement=5)
    rows = [values.clone() for values in source.rows(40, 60)]
    chunks = [values.clone() for values in source.chunks(40, 60)]
    assert [values.shape for values in rows] == [(part.shape[1], 20) for part in chunks]
    for one, other in zip(rows, chunks, strict=True):
        assert one.T.equal(other)


@pytest.mark.parametrize("units", [1, 64, 65, 200])
def test_transposed_rows_are_written_to_the_left(units):
    rows, out = torch.arange(3.0 * units).view(units, 3), torch.full((3, 201), -1.0)
    assert transposed(rows, out).equal(rows.T)
    assert out[:, :units].equal(rows.T)
    assert (out[:, units:] == -1).all()


def test_neurons_count_over_all_layers():
    layer, channel = layer_and_channel([3, 2])
    assert layer.tolist() == [0, 0, 0, 1, 1]
    assert channel.tolist() == [0, 1, 2, 0, 1]


def test_batches_and_shards_do_not_matter(architecture, tmp_path):
    model = tiny_model(architecture)
    first = run(model, tmp_path / "a", batch_passages=1, shards=1)
    second = run(model, tmp_path / "b", batch_passages=7, shards=5, chunk=7)
    assert [len(source.shards) for source in (first, second)] == [1, 5]
    assert_close(whole(first), whole(second))
    for file in sorted((tmp_path / "a/out/statistics").iterdir()):
        one, other = (read_tensors(tmp_path / name / "out/statistics" / file.name) for name in "ab")
        np.testing.assert_array_equal(one["count"], other["count"])
        for kind in ("top_value", "positive"):
            torch.testing.assert_close(one[kind], other[kind], atol=1e-4, rtol=1e-4)


def test_more_shards_than_chunks(tmp_path):
    few, many = run(tiny_model("gpt2"), tmp_path / "a", shards=1), run(tiny_model("gpt2"), tmp_path / "b", shards=999)
    assert len(many.shards) == -(-COUNT // CHUNK)
    assert_close(whole(few), whole(many))


# -- extraction ------------------------------------------------------------------------------------------------------


def test_statistics_are_those_of_the_stored_activations(tmp_path):
    model, units = tiny_model("gpt2"), study_tables()[1]
    stored = run(model, tmp_path, chunk=7, dtype="bfloat16", unit_texts=2, top_contexts=4)
    labels = label_units(units, 2)
    files = sorted((tmp_path / "out/statistics").iterdir())
    assert [file.name for file in files] == ["layer-000.safetensors", "layer-001.safetensors"]
    for layer, file in enumerate(files):
        running = NeuronStatistics(48, LabelMatrix(labels), 4, WorkSpace(CPU))
        for chunk in stored.chunks(48 * layer, 48 * (layer + 1)):
            running.update(chunk.T)
        expected, found = running.finish(), read_tensors(file)
        assert found.keys() == expected.keys()
        for name in expected:
            assert found[name].equal(expected[name]), name
    table = input_metrics(read_tensors(files[1]), labels, 20, 0)
    values = whole(stored)[48:].double().numpy()
    np.testing.assert_allclose(table["mean"], values.mean(1), atol=1e-6)
    np.testing.assert_allclose(table.variance, values.var(1), rtol=1e-3)
    np.testing.assert_allclose(table.mean_d1, values[:, units.domain == "d1"].mean(1), atol=1e-6)


def test_contexts_are_the_strongest_units_of_either_half(tmp_path):
    values = whole(run(tiny_model("gpt2"), tmp_path, dtype="bfloat16", top_contexts=5)).float().numpy()
    half, rows = label_units(study_tables()[1], 4).fold, []
    for neuron, code in itertools.product(range(96), (0, 1)):
        best = sorted(np.flatnonzero(half == code), key=lambda unit: (-values[neuron, unit], unit))[:5]
        rows += [(neuron, code, rank, unit, values[neuron, unit]) for rank, unit in enumerate(best)]
    expected = pd.DataFrame(rows, columns=["neuron", "half", "rank", "unit", "activation"])
    pd.testing.assert_frame_equal(read_table(tmp_path / "out/contexts.parquet"), expected.astype({"activation": "f4"}))


def test_fewer_units_than_contexts(tmp_path):
    run(tiny_model("gpt2"), tmp_path, top_contexts=COUNT)
    contexts = read_table(tmp_path / "out/contexts.parquet")
    assert len(contexts) == 96 * COUNT
    for _, units in contexts.groupby("neuron").unit:
        assert sorted(units) == list(range(COUNT))


def test_what_is_not_asked_for_is_not_written(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(activations, "TensorFile", None)  # nor on the way
        run(tiny_model("gpt2"), tmp_path / "unstored", store=False)
    run(tiny_model("gpt2"), tmp_path / "unmeasured", measure=False)
    run(tiny_model("gpt2"), tmp_path / "both")
    names = {case: {f.name for f in (tmp_path / case / "out").iterdir()} for case in ("unstored", "unmeasured")}
    assert names["unmeasured"] == {"summary.json", "layers"}
    assert names["unstored"] == {"summary.json", "layers", "statistics", "contexts.parquet"}
    assert not list((tmp_path / "unstored/out/layers").iterdir())
    for name in ("statistics/layer-000.safetensors", "statistics/layer-001.safetensors", "contexts.parquet"):
        assert (tmp_path / "unstored/out" / name).read_bytes() == (tmp_path / "both/out" / name).read_bytes()
    layers = [folder / "out/layers/shard-0000.safetensors" for folder in (tmp_path / "unmeasured", tmp_path / "both")]
    assert layers[0].read_bytes() == layers[1].read_bytes()
    with pytest.raises(StudyError, match="lacks activations"):
        StoredActivations(tmp_path / "unstored/out")


@pytest.mark.parametrize("killed", [0, 1, 2])
def test_a_killed_extraction_continues_and_ends_the_same(tmp_path, monkeypatch, killed):
    model = tiny_model("gpt2")
    run(model, tmp_path / "whole", dtype="bfloat16")
    real, calls = activations._extract_shard, []

    def dies_once(*arguments):
        calls.append(1)
        if len(calls) == killed + 1:
            real(*arguments[:-1], tmp_path / "lost")  # what was summed up in memory is lost
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(activations, "_extract_shard", dies_once)
    with pytest.raises(KeyboardInterrupt):
        run(model, tmp_path / "cut", dtype="bfloat16")
    assert not (tmp_path / "cut/out").exists(), "no partial result may look like a whole one"
    run(model, tmp_path / "cut", dtype="bfloat16")
    assert len(calls) == 4, "a finished shard is not computed again"
    names = ["contexts.parquet", "summary.json", *(f"layers/shard-000{i}.safetensors" for i in range(3))]
    names += [f"statistics/layer-00{i}.safetensors" for i in range(2)]
    for out in (tmp_path / "whole/out", tmp_path / "cut/out"):
        assert sorted(str(file.relative_to(out)) for file in out.rglob("*.*")) == sorted(names)
    for name in names:
        assert (tmp_path / "whole/out" / name).read_bytes() == (tmp_path / "cut/out" / name).read_bytes(), name
    assert not (tmp_path / "cut/work").exists()


@pytest.mark.parametrize(
    ("seed", "other"),
    [
        (1, {"weights": "other"}),
        (0, {"dtype": "float16"}),
        (0, {"chunk": 17}),
        (0, {"shards": 4}),
        (0, {"measure": False}),
        (0, {"unit_texts": 2}),
        (0, {"top_contexts": 3}),
    ],
)
def test_shards_of_other_weights_or_settings_are_not_used(tmp_path, monkeypatch, seed, other):
    real, model = activations._extract_shard, tiny_model("gpt2", seed=seed)

    def dies_in_the_third_shard(*arguments):
        if arguments[-1].name == "shard-0002":
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(activations, "_extract_shard", dies_in_the_third_shard)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_model("gpt2"), tmp_path)
    assert list((tmp_path / "work").rglob("shard-0001"))
    found, clean = run(model, tmp_path, **other), run(model, tmp_path / "clean", **other)
    torch.testing.assert_close(whole(found), whole(clean), atol=0, rtol=0)
    for folder in (tmp_path / "out", tmp_path / "clean/out"):
        assert folder.joinpath("statistics").exists() == other.get("measure", True)
    for file in (tmp_path / "clean/out/statistics").glob("*"):
        assert file.read_bytes() == (tmp_path / "out/statistics" / file.name).read_bytes()


@pytest.mark.parametrize("lacking", [{"measure": False}, {"store": False}])
def test_shards_that_lack_what_is_asked_for_are_not_used(tmp_path, monkeypatch, lacking):
    model = tiny_model("gpt2")
    with monkeypatch.context() as patch:
        patch.setattr(activations, "write_json", None)  # all shards are written, the summary is not
        with pytest.raises(TypeError):
            run(model, tmp_path, **lacking)
    assert list((tmp_path / "work").rglob("shard-0002"))
    assert_close(whole(run(model, tmp_path)), whole(run(model, tmp_path / "clean")))
    for name in ("contexts.parquet", "statistics/layer-001.safetensors"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "clean/out" / name).read_bytes()


def test_the_last_chunk_is_filled_up_with_zeros(tmp_path):
    stored = run(tiny_model("gpt2"), tmp_path, shards=1)
    assert COUNT % CHUNK > 0
    last = TensorFile(stored.shards[0]).read(COUNT // CHUNK, 0, 96)
    assert not last[:, COUNT % CHUNK :].any()
    assert last[:, : COUNT % CHUNK].all()


def test_an_extraction_that_is_done_is_not_done_again(tmp_path, monkeypatch):
    run(tiny_model("gpt2"), tmp_path)
    monkeypatch.setattr(activations, "_extract_shard", None)
    run(tiny_model("gpt2"), tmp_path)
    with pytest.raises(TypeError):
        run(tiny_model("gpt2"), tmp_path, weights="other")


def test_tables_of_different_units_are_refused(tmp_path):
    tokens, units = study_tables()
    with pytest.raises(StudyError, match=f"token table has {COUNT} units, the unit table {COUNT - 1}; delete both"):
        extract(
            Extraction("m", Activations(), "w", tmp_path / "o", tmp_path / "w"),
            tiny_model("gpt2"),
            tokens,
            units[:-1],
            device=CPU,
        )


def test_a_truncated_shard_is_refused(tmp_path):
    run(tiny_model("gpt2"), tmp_path)
    file = tmp_path / "out/layers/shard-0001.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(StudyError, match=f"damaged or truncated.*the whole folder {tmp_path / 'out'}"):
        StoredActivations(tmp_path / "out")


def test_a_lost_shard_is_refused(tmp_path):
    run(tiny_model("gpt2"), tmp_path)
    (tmp_path / "out/layers/shard-0001.safetensors").unlink()
    with pytest.raises(StudyError, match="lacks activations"):
        StoredActivations(tmp_path / "out")


@pytest.mark.parametrize("lost", ["lm_head.weight", "model.layers.1.mlp.down_proj.weight"])
def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path, lost):
    tiny_model("llama").save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    load_model(tmp_path, CPU)
    tensors = read_tensors(tmp_path / "model.safetensors")
    del tensors[lost]
    write_tensors(tmp_path / "model.safetensors", tensors, {"format": "pt"})
    with pytest.raises(StudyError, match=f"lacks 1 weights.*{lost}"):
        load_model(tmp_path, CPU)


def test_activations_too_large_for_their_storage_are_refused(tmp_path):
    model = tiny_model("gpt2")
    with torch.no_grad():
        model.base_model.h[0].mlp.c_fc.weight.mul_(1e6)
    run(model, tmp_path / "wide", dtype="bfloat16")
    with pytest.raises(StudyError, match="not finite in float16"):
        run(model, tmp_path / "narrow", dtype="float16")


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_an_activation_that_is_not_finite_names_its_layer(value):
    model = tiny_model("gpt2", layers=3)
    with torch.no_grad():
        model.base_model.h[1].mlp.c_fc.bias[5] = value
    whole(forward_pass(model), 0, 48)
    for first in (0, 50, 48 + 5):
        with pytest.raises(StudyError, match=r"^layer 1 gives activations that are not finite in float32"):
            whole(forward_pass(model), first, 48 + 6)


def test_huge_activations_are_finite():
    """Their sum over a chunk may be not."""
    model = tiny_model("gpt2")
    with torch.no_grad():
        model.base_model.h[0].mlp.c_fc.bias[:40] = 3e36
    assert whole(forward_pass(model), 0, 40).min() > 1e36


def test_a_copy_on_the_disk_of_the_node_is_read_instead(tmp_path, monkeypatch):
    values = torch.randn(6, 150)
    write_stored(tmp_path / "stored", values, chunk=64)
    (tmp_path / "node").mkdir()
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "node"))
    copy = copied(tmp_path / "stored", "$NODE_DISK")
    assert copy.parent == tmp_path / "node"
    assert copied(tmp_path / "stored", "$NODE_DISK") == copy, "once"
    shutil.rmtree(tmp_path / "stored/layers")
    assert torch.cat(list(StoredActivations(copy).chunks()), 1).equal(values)


@pytest.mark.slow(0.1)
def test_copies_go_with_their_process(tmp_path):
    write_stored(tmp_path / "stored", torch.randn(6, 150), chunk=64)
    (tmp_path / "node").mkdir()
    code = f"""
        from pathlib import Path
        from rosetta_scaling.activations.sources import copied
        assert list(copied(Path({str(tmp_path / "stored")!r}), {str(tmp_path / "node")!r}).rglob("shard-*"))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
    assert not list((tmp_path / "node").iterdir())


def test_without_room_on_the_node_activations_are_read_where_they_are(tmp_path, monkeypatch, caplog):
    write_stored(tmp_path / "stored", torch.randn(6, 150), chunk=64)
    (tmp_path / "node").mkdir()
    size = sum(file.stat().st_size for file in (tmp_path / "stored/layers").iterdir())
    about = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: about._replace(free=2 * size - 1))
    assert copied(tmp_path / "stored", str(tmp_path / "node")) == tmp_path / "stored"
    with pytest.raises(StudyError, match=r"activations.copy_to is \$NOWHERE, which is no folder on"):
        copied(tmp_path / "stored", "$NOWHERE")
