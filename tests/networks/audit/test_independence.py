"""Networks that share weights or a start are told from those that do not."""

import copy
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tiny_networks import tiny_model
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from rosetta_scaling.networks.audit import fingerprints
from rosetta_scaling.networks.audit.fingerprints import fingerprint
from rosetta_scaling.networks.audit.independence import audit, refusals, require_independent
from rosetta_scaling.networks.linear import neurons_of
from rosetta_scaling.networks.mlps import find_down_projections
from rosetta_scaling.networks.towers import with_positions
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_table, write_table

HIDDEN = 32


@pytest.fixture
def saved(tmp_path):
    """Saves a network, or a dictionary of weights, under a name, and returns its fingerprint."""

    def save(network, name):
        if isinstance(network, dict):
            (tmp_path / name).mkdir()
            save_file(
                {key: value.contiguous() for key, value in network.items()}, tmp_path / name / "model.safetensors"
            )
        else:
            network.save_pretrained(tmp_path / name)
        return fingerprint(tmp_path / name)

    return save


def compare(a: pd.DataFrame, b: pd.DataFrame) -> pd.Series:
    return audit({"first": a, "second": b}).iloc[0]


def network(architecture, seed=0, **sizes):
    return tiny_model(architecture, **{"hidden": HIDDEN, "layers": 3} | sizes, seed=seed)


def trained(model, steps=5, seed=0):
    model = copy.deepcopy(model).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        ids = torch.randint(0, 300, (4, 16), generator=generator)
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model.eval()


def reordered(model, seed=0):
    """The same function with the neurons of every layer in another order."""
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for down in find_down_projections(model):
        order = torch.randperm(neurons_of(down), generator=generator)
        mlp = next(module for module in model.modules() if down in module.children())
        for child in mlp.children():
            if not hasattr(child, "weight"):  # the activation function
                continue
            neurons_first = (child is down) == (type(child).__name__ == "Conv1D")
            child.weight.data = child.weight.data[order] if neurons_first else child.weight.data[:, order]
            if child is not down and child.bias is not None:
                child.bias.data = child.bias.data[order]
    return model


def test_fingerprints_hold_what_they_say(saved):
    weights = {
        "model.layers.3.mlp.up.weight": torch.arange(12.0).view(4, 3),
        "model.layers.3.self_attn.q.weight": torch.randn(3, 3),
        "model.layers.3.norm.weight": torch.ones(3),
        "model.embed_tokens.weight": torch.randn(5, 3, dtype=torch.bfloat16),
        "pooler.weight": torch.randn(3, 3),
        "model.rotary.inv_freq": torch.randn(3),
        "scale": torch.tensor(2.0),
        "position_ids": torch.arange(5),
    }
    table = saved(weights, "a").set_index("tensor")
    assert sorted(table.index) == sorted(set(weights) - {"model.rotary.inv_freq", "position_ids"})
    roles = table.role.to_dict()
    assert [name for name in roles if roles[name] == "mlp"] == ["model.layers.3.mlp.up.weight"]
    assert [name for name in roles if roles[name] == "embedding"] == ["model.embed_tokens.weight"]
    assert table.place["model.layers.3.mlp.up.weight"] == "3.mlp.up.weight"
    assert table.place["pooler.weight"] == "pooler.weight"
    assert list(table["shape"]["model.embed_tokens.weight"]) == [5, 3]
    assert table.dtype["model.embed_tokens.weight"] == "bfloat16"
    assert sorted(table.index[table.constant]) == ["model.layers.3.norm.weight", "scale"]
    for name in table.index:
        assert table.norm[name] == pytest.approx(weights[name].float().norm().item(), rel=1e-6)
    assert (table.strong.map(len) > 0).tolist() == (table.role == "mlp").tolist()


def test_positions_by_formula_are_nothing_in_common(saved):
    """Masked autoencoders of a width have the same sines and cosines; learned positions are another matter."""

    def autoencoder(seed: int) -> ViTMAEForPreTraining:
        torch.manual_seed(seed)
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
        decoder = {"decoder_hidden_size": 16, "decoder_num_attention_heads": 2, "decoder_num_hidden_layers": 1}
        return with_positions(ViTMAEForPreTraining(ViTMAEConfig(image_size=16, patch_size=4, **sizes, **decoder)))

    first, second = autoencoder(0), autoencoder(1)
    row = compare(saved(first, "a"), saved(second, "b"))
    assert (row.verdict, row.identical_tensors) == ("independent", 0)
    for model in (first, second):
        model.vit.embeddings.position_embeddings.data += torch.randn(17, 16, generator=torch.Generator().manual_seed(3))
    row = compare(saved(first, "c"), saved(second, "d"))
    assert (row.verdict, row.identical_tensors) == ("shared weights", 1)


def test_filters_of_single_channels_are_nothing_in_common(saved):
    """Two networks that share nothing but the kinds of filters that their depthwise convolutions have learned."""
    kinds = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    tables = []
    for seed in (1, 2):
        rng = torch.Generator().manual_seed(seed)
        filters = kinds[torch.randint(6, (96,), generator=rng)] + 0.1 * torch.randn(96, 1, 3, 3, generator=rng)
        expansion = torch.randn(96, 32, 1, 1, generator=rng)
        weights = {"blocks.0.expand.weight": expansion, "blocks.0.depthwise.weight": filters}
        tables.append(saved(weights, f"network{seed}"))
    assert compare(*tables).verdict == "independent"


def test_the_sample_estimates_the_cosine_of_the_whole(saved):
    torch.manual_seed(0)
    shape = (700, 300)
    common, rows, columns = torch.randn(shape), torch.randn(shape[0], 1), 3 * torch.randn(1, shape[1])
    for share in (0.0, 0.3, 0.9):
        pair = [share**0.5 * common + (1 - share) ** 0.5 * torch.randn(shape) for _ in range(2)]
        # What all rows or all columns have in common is taken out before the cosine.
        tables = [saved({"h.0.mlp.weight": x + rows + columns + 2}, f"{share}{i}") for i, x in enumerate(pair)]
        assert compare(*tables).mlp == pytest.approx(share, abs=0.04)


def test_pieces_do_not_change_a_fingerprint(saved, monkeypatch):
    weights = {"h.0.mlp.weight": torch.randn(200, 96), "wte.weight": torch.randn(700, 96, dtype=torch.float16)}
    whole = saved(weights, "a")
    monkeypatch.setattr(fingerprints, "PIECE", 1000)
    small = saved(weights, "b")
    plain = ["tensor", "sha256", "constant", "norm"]
    pd.testing.assert_frame_equal(whole[plain], small[plain])
    for column in ("sample", "strong"):
        for one, other in zip(whole[column], small[column], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_same_weights_are_identical(saved, architecture):
    model = network(architecture)
    row = compare(saved(model, "a"), saved(model, "b"))
    assert row.verdict == "identical"
    assert row.identical_share == 1
    assert row.mlp == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounded_weights_are_identical(saved, architecture, dtype):
    model = network(architecture)
    whole, half = saved(model, "a"), saved(copy.deepcopy(model).to(dtype), "b")
    row = compare(whole, half)
    assert row.verdict == "identical"
    assert row.identical_tensors == 0
    assert compare(half, saved(trained(model), "c")).verdict == "same start"


def test_other_seeds_are_independent_whatever_the_size(saved, architecture):
    tables = {f"seed {seed}": saved(network(architecture, seed), f"{seed}") for seed in range(4)}
    tables |= {"wide": saved(network(architecture, hidden=2 * HIDDEN), "wide")}
    tables |= {"deep": saved(network(architecture, 7, layers=5), "deep")}
    tables |= {"trained": saved(trained(network(architecture, 8)), "trained")}
    audited = audit(tables)
    assert len(audited) == 21
    assert set(audited.verdict) == {"independent"}
    assert audited[audited.b == "wide"].mlp_tensors.eq(0).all()
    assert audited[(audited.a != "wide") & (audited.b == "deep")].mlp_tensors.gt(0).all()
    assert refusals(audited) == []
    require_independent(audited)


def test_the_same_seed_in_two_sizes_is_independent(saved):
    tables = {f"{width}": saved(network("llama", 3, hidden=width), f"{width}") for width in (16, 32, 64)}
    assert set(audit(tables).verdict) == {"independent"}


def test_a_fine_tuned_copy_has_the_same_start(saved, architecture):
    base = network(architecture)
    a, b = saved(trained(base, seed=1), "a"), saved(trained(base, seed=2), "b")
    row = compare(a, b)
    assert row.verdict == "same start"
    assert row.mlp > 0.95
    assert row.identical_tensors == 0
    (sentence,) = refusals(audit({"one": a, "two": b}))
    assert sentence.startswith("one and two started from the same weights")
    with pytest.raises(StudyError, match=r"one and two started from the same weights.*not independent; leave one out"):
        require_independent(audit({"one": a, "two": b}))


def test_a_descendant_that_the_study_knows_of_is_said_and_not_refused(saved):
    model = network("llama")
    prints = {"origin": saved(model, "a"), "further": saved(trained(model), "b"), "copy": saved(model, "c")}
    known = [("origin", "further"), ("origin", "copy")]
    audited = audit(prints, descended=known)
    assert audited.set_index(["a", "b"]).verdict.to_dict() == {
        ("origin", "further"): "descended",
        ("origin", "copy"): "identical",
        ("further", "copy"): "same start",
    }
    assert [sentence.split(" hold")[0].split(" started")[0] for sentence in refusals(audited)] == [
        "origin and copy",
        "further and copy",
    ], "a network that training has not changed, and a relative of which the study does not know"


def test_reordered_neurons_have_the_same_start(saved, architecture):
    base = network(architecture)
    other = reordered(base)
    ids = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(base(input_ids=ids).logits, other(input_ids=ids).logits, atol=1e-5, rtol=1e-4)
    a = saved({name: value.clone() for name, value in base.state_dict().items() if "mlp" in name}, "a")
    for name, changed in {"b": other, "c": trained(other), "d": copy.deepcopy(other).to(torch.bfloat16)}.items():
        b = saved({name: value.clone() for name, value in changed.state_dict().items() if "mlp" in name}, name)
        row = compare(a, b)
        assert row.anywhere < row.chance, "the cosine at the same place does not see it"
        assert row.reordered > 0.99
        assert row.verdict == "same start"


def test_layers_that_moved_are_found(saved):
    base = network("llama", layers=4)
    kept = copy.deepcopy(base)
    kept.model.layers = torch.nn.ModuleList([base.model.layers[1], base.model.layers[3]])
    weights = {name: value + 1e-4 * torch.randn_like(value) for name, value in kept.state_dict().items()}
    row = compare(saved(base, "a"), saved(weights, "b"))
    assert row.mlp < row.chance < row.anywhere
    assert row.verdict == "same start"


def test_one_tensor_in_common_is_shared(saved):
    weights = [network("llama", seed).state_dict() for seed in range(2)]
    name = "model.layers.1.self_attn.o_proj.weight"
    weights[1][name] = weights[0][name]
    for state in weights:
        del state["lm_head.weight"]
    audited = audit({"a": saved(weights[0], "a"), "b": saved(weights[1], "b")})
    assert audited.verdict.tolist() == ["shared weights"]
    assert audited.identical_tensors.tolist() == [1]
    counted = sum(value.numel() for value in weights[0].values() if value.min() < value.max())
    assert audited.identical_share[0] == pytest.approx(HIDDEN**2 / counted)
    assert refusals(audited)[0].startswith("a and b share 1 tensors byte for byte, ")


def test_constant_tensors_and_tied_copies_do_not_count(saved):
    weights = [network("llama", seed).state_dict() for seed in range(2)]
    for state in weights:
        state["model.layers.0.mlp.extra.weight"] = torch.zeros(HIDDEN, HIDDEN)
        state["model.norm.weight"] = torch.full((HIDDEN,), 0.5)
    assert compare(saved(weights[0], "a"), saved(weights[1], "b")).verdict == "independent"
    untied = weights[0] | {"lm_head.weight": weights[0]["model.embed_tokens.weight"].clone()}
    del weights[0]["lm_head.weight"]
    row = compare(saved(untied, "c"), saved(weights[0], "d"))
    assert row.verdict == "identical"
    assert row.identical_share == 1


def test_embeddings_alone_are_not_refused(saved):
    weights = [network("llama", seed).state_dict() for seed in range(2)]
    name = "model.embed_tokens.weight"
    weights[1][name] = weights[0][name] + 0.5 * weights[1][name]
    for state in weights:
        del state["lm_head.weight"]
    audited = audit({"a": saved(weights[0], "a"), "b": saved(weights[1], "b")})
    assert audited.verdict.tolist() == ["shared embeddings"]
    assert audited.embeddings[0] == pytest.approx(1.25**-0.5, abs=0.03)
    assert refusals(audited) == []


def test_only_the_pairs_that_are_asked_for(saved):
    model = network("gpt2")
    tables = {"a": saved(model, "a"), "b": saved(model, "b"), "c": saved(network("gpt2", 1), "c")}
    audited = audit(tables, [("a", "c"), ("c", "b")])
    assert audited[["a", "b"]].to_numpy().tolist() == [["a", "c"], ["c", "b"]]
    assert set(audited.verdict) == {"independent"}
    assert refusals(audit(tables)) == ["a and b hold the same weights: they are not independent; leave one out"]


def test_fingerprints_survive_being_stored(saved, tmp_path):
    tables = {seed: saved(trained(network("bloom"), seed=seed), str(seed)) for seed in range(2)}
    expected = audit(tables)
    for seed, table in tables.items():
        write_table(tmp_path / f"{seed}.parquet", table)
    stored = {seed: read_table(tmp_path / f"{seed}.parquet") for seed in tables}
    pd.testing.assert_frame_equal(audit(stored), expected)


def test_folders_without_weights_are_refused(tmp_path, saved):
    with pytest.raises(StudyError, match="holds 0 safetensors files"):
        fingerprint(tmp_path)
    with pytest.raises(StudyError, match="no floating-point weights of an MLP"):
        saved({"layers.0.mlp.weight": torch.ones(3, 3, dtype=torch.int8)}, "a")
    saved({"layers.0.mlp.weight": torch.randn(30, 30)}, "b")
    path = tmp_path / "b/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StudyError, match=r"model\.safetensors is cut: it has"):
        fingerprint(tmp_path / "b")


@pytest.mark.slow(0.1)
def test_weights_are_never_in_memory_as_a_whole(tmp_path):
    save_file({f"h.{i}.mlp.weight": torch.randn(8000, 2000) for i in range(6)}, tmp_path / "model.safetensors")
    code = (
        "import json, resource, sys; from rosetta_scaling.networks.audit.fingerprints import fingerprint;"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; before = peak();"
        "fingerprint(sys.argv[1]); print(json.dumps(peak() - before))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) < 150 * 1024, "in KiB; the file has 375 MiB, one tensor 61"
