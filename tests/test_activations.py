"""Hooks and extraction on real networks: what is captured, pooled, stored, and that interruptions leave no trace."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import tiny_model

from rosetta_scaling import activations
from rosetta_scaling.activations import ActivationReader, extract
from rosetta_scaling.checkpoints import describe, load_model
from rosetta_scaling.config import Activations
from rosetta_scaling.hooks import capture, find_down_projections, neurons_of, weight_out
from rosetta_scaling.store import StudyError, read_table, read_tensors, write_tensors

CPU = torch.device("cpu")


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


def test_captures_what_flows_into_the_down_projection(architecture):
    model = tiny_model(architecture)
    modules = find_down_projections(model)
    ids = torch.randint(0, 300, (2, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), capture(modules) as captured:
        model(input_ids=ids)
    with torch.no_grad():
        for layer, module in enumerate(modules):
            torch.testing.assert_close(captured[layer], by_hand(model, layer, ids), atol=1e-5, rtol=1e-4)
            assert weight_out(module).shape == (12, captured[layer].shape[-1])
            assert neurons_of(module) == captured[layer].shape[-1]
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


def study_tables(vocabulary: int = 300, passages: int = 24):
    """Tokens of passages of different lengths, one to three tokens per unit, the first token in none."""
    rng = np.random.default_rng(0)
    rows, unit = [], 0
    for passage in range(passages):
        position = 1
        rows.append((passage, 0, rng.integers(vocabulary), -1))
        for _ in range(rng.integers(3, 12)):
            for _ in range(rng.integers(1, 4)):
                rows.append((passage, position, rng.integers(vocabulary), unit))
                position += 1
            unit += 1
    tokens = pd.DataFrame(rows, columns=["passage", "position", "token", "unit"])
    units = pd.DataFrame({"unit": range(unit), "domain": [f"d{i % 3}" for i in range(unit)]})
    return tokens, units


def run(model, folder, weights="w", **settings):
    tokens, units = study_tables()
    settings = Activations(**({"dtype": "float32", "shards": 3, "batch_passages": 5} | settings))
    extract("m", model, tokens, units, settings, folder / "out", folder / "work", CPU, weights)
    return ActivationReader(folder / "out")


def test_pooled_activations_are_means_over_the_tokens_of_a_unit(architecture, tmp_path):
    model = tiny_model(architecture)
    tokens, units = study_tables()
    reader = run(model, tmp_path)
    stored = reader.rows(0, len(reader))
    assert stored.shape == (sum(describe(model)["neurons"]), len(units))
    for passage, rows in tokens.groupby("passage"):
        with torch.no_grad():
            ids = torch.tensor(rows.token.to_numpy())[None]
            hidden = torch.cat([by_hand(model, layer, ids)[0] for layer in range(2)], 1)  # (tokens, neurons)
        for unit, members in rows[rows.unit >= 0].groupby("unit"):
            expected = hidden[members.position.tolist()].mean(0)
            torch.testing.assert_close(stored[:, unit], expected, atol=1e-5, rtol=1e-4, msg=f"passage {passage}")


def test_batches_and_shards_do_not_matter(architecture, tmp_path):
    model = tiny_model(architecture)
    first = run(model, tmp_path / "a", batch_passages=1, shards=1)
    second = run(model, tmp_path / "b", batch_passages=7, shards=5)
    torch.testing.assert_close(first.rows(0, len(first)), second.rows(0, len(second)), atol=1e-6, rtol=1e-5)
    tables = [read_table(tmp_path / name / "out/neurons.parquet").to_numpy(float) for name in "ab"]
    np.testing.assert_allclose(*tables, rtol=1e-3, atol=1e-5)


def test_a_killed_extraction_continues_and_ends_the_same(tmp_path, monkeypatch):
    model = tiny_model("gpt2")
    run(model, tmp_path / "whole", dtype="bfloat16")
    real, calls = activations._extract_shard, []

    def dies_in_the_second_shard(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(activations, "_extract_shard", dies_in_the_second_shard)
    with pytest.raises(KeyboardInterrupt):
        run(model, tmp_path / "cut", dtype="bfloat16")
    assert not (tmp_path / "cut/out").exists(), "no partial result may look like a whole one"
    run(model, tmp_path / "cut", dtype="bfloat16")
    assert len(calls) == 4, "the finished shard is not computed again"
    files = sorted(f.relative_to(tmp_path / "whole") for f in (tmp_path / "whole").rglob("*.*") if f.is_file())
    assert len(files) == 5
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes(), file


def test_shards_of_other_weights_or_settings_are_not_used(tmp_path, monkeypatch):
    real = activations._extract_shard

    def dies_in_the_third_shard(*arguments):
        if arguments[6].name == "shard-0002":
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(activations, "_extract_shard", dies_in_the_third_shard)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_model("gpt2"), tmp_path)
    assert list((tmp_path / "work").rglob("shard-0001"))
    other = run(tiny_model("gpt2", seed=1), tmp_path, weights="other")
    clean = run(tiny_model("gpt2", seed=1), tmp_path / "clean")
    torch.testing.assert_close(other.rows(0, len(other)), clean.rows(0, len(clean)), atol=0, rtol=0)


def test_rows_cross_layers(tmp_path):
    reader = run(tiny_model("llama"), tmp_path)
    whole = reader.rows(0, len(reader))
    width = reader.widths[0]
    torch.testing.assert_close(reader.rows(width - 3, width + 4), whole[width - 3 : width + 4])
    layer, channel = reader.layer_and_channel()
    assert (layer[width], channel[width]) == (1, 0)


def test_a_truncated_layer_is_refused(tmp_path):
    reader = run(tiny_model("gpt2"), tmp_path)
    file = tmp_path / "out/layers/layer-00.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(StudyError, match="damaged or truncated"):
        reader.rows(0, 4)


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


def test_more_shards_than_passages(tmp_path):
    few, many = run(tiny_model("gpt2"), tmp_path / "a", shards=1), run(tiny_model("gpt2"), tmp_path / "b", shards=999)
    torch.testing.assert_close(few.rows(0, 5), many.rows(0, 5), atol=1e-6, rtol=1e-5)


def test_activations_too_large_for_their_storage_are_refused(tmp_path):
    model = tiny_model("gpt2")
    with torch.no_grad():
        model.base_model.h[0].mlp.c_fc.weight.mul_(1e6)
    run(model, tmp_path / "wide", dtype="bfloat16")
    with pytest.raises(StudyError, match="not finite in float16"):
        run(model, tmp_path / "narrow", dtype="float16")


def test_weights_that_overflow_are_refused(tmp_path):
    model = tiny_model("gpt2")
    with torch.no_grad():
        model.base_model.h[0].mlp.c_fc.weight.fill_(torch.inf)
    with pytest.raises(StudyError, match="not finite"):
        run(model, tmp_path)
