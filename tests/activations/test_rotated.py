"""Decoys from inside a forward pass: random neurons behind the nonlinearity, on the stream that training has made."""

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_networks import tiny_model

from rosetta_scaling.activations.chunks import KEPT_BYTES
from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.activations.rotated import PreActivations, RotatedBeforeNonlinearity
from rosetta_scaling.networks.mlps import find_mlps, read_inputs

CPU = torch.device("cpu")


def identity(_size: int, _random: torch.Generator):
    return lambda x: x


def tokens(passages: int = 30, vocabulary: int = 300) -> pd.DataFrame:
    """Passages of different lengths, two tokens per unit; the first token is in no unit."""
    rng, rows, unit = np.random.default_rng(0), [], 0
    for passage in range(passages):
        of_tokens = [-1]
        for _ in range(rng.integers(3, 12)):
            of_tokens += [unit, unit]
            unit += 1
        rows += [(passage, position, rng.integers(vocabulary), at) for position, at in enumerate(of_tokens)]
    return pd.DataFrame(rows, columns=["passage", "position", "token", "unit"])


def network(architecture: str):
    """Weights of different scales, so that the network is far from linear."""
    model = tiny_model(architecture)
    with torch.no_grad():
        for mlp in find_mlps(model):
            for up in mlp.ups:
                up.weight *= 20
    return model


def plain(model, dtype: str = "float32") -> ForwardPass:
    return ForwardPass(model, TextInputs(model, tokens(), CPU), Reading(4, dtype, CPU, 32))


def opened(model, *, batch: int = 4, dtype: str = "float32", room: int = KEPT_BYTES) -> PreActivations:
    return PreActivations(model, TextInputs(model, tokens(), CPU), Reading(batch, dtype, CPU, 32), room)


def rotated(model, seed: object = 1, *, batch: int = 4, dtype: str = "float32", **options) -> RotatedBeforeNonlinearity:
    return RotatedBeforeNonlinearity(opened(model, batch=batch, dtype=dtype), seed=seed, **options)


def whole(source, *arguments) -> torch.Tensor:
    return torch.cat([chunk.clone() for chunk in source.chunks(*arguments)], 1)


def test_the_identity_as_rotation_gives_the_network_itself(architecture):
    model = network(architecture)
    torch.testing.assert_close(whole(rotated(model, rotation=identity)), whole(plain(model)), atol=1e-4, rtol=1e-4)


def test_layers_read_the_stream_of_the_trained_network(architecture):
    """The second layer is as it was when only the first is rotated: nothing is written back."""
    model = network(architecture)
    source = rotated(model)
    source.rotations[1] = lambda x: x
    own = {key: spread for key, spread in source.network.own.items() if key[0]}
    source.turned |= {key: (mean, deviation * source.network.scales[key]) for key, (mean, deviation) in own.items()}
    width = source.widths[0]
    torch.testing.assert_close(whole(source)[width:], whole(plain(model))[width:], atol=1e-4, rtol=1e-4)
    assert (whole(source)[:width] - whole(plain(model))[:width]).abs().max() > 0.01


def test_every_neuron_keeps_the_mean_and_variance_of_its_pre_activations(architecture):
    model = network(architecture)
    source, seen = rotated(model), {}
    for samples in np.array_split(np.arange(30), 5):
        batch = source.inputs.batch(samples)

        def keep(layer, entering, batch=batch):
            for part, values in enumerate(source.network.mlps[layer].pre_activations(entering)):
                both = torch.stack([batch.inside(values), batch.inside(source._rotate(layer, part, values))])
                seen.setdefault((layer, part), []).append(both)

        with torch.no_grad(), read_inputs({i: mlp.ups[0] for i, mlp in enumerate(source.network.mlps)}, keep):
            model(**batch.arguments)
    assert len(seen) == 2 * len(source.network.mlps[0].pre_activations(torch.zeros(1, 12)))
    for values in seen.values():
        own, turned = torch.cat(values, 1)
        torch.testing.assert_close(turned.mean(0), own.mean(0), atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(turned.std(0), own.std(0), atol=1e-4, rtol=1e-3)
        r = np.corrcoef(own.T, turned.T)[: own.shape[1], own.shape[1] :]
        assert np.abs(np.diag(r)).mean() < 0.5, "the neurons themselves are gone"


def test_gate_and_up_are_rotated_alike():
    source = rotated(network("llama"))
    entering = torch.randn(50, 12, generator=torch.Generator().manual_seed(0))
    gate, up = source.network.mlps[0].pre_activations(entering)
    basis = source.rotations[0](torch.eye(source.widths[0]))
    for part, values in enumerate((gate, up)):
        scaled = (values - source.network.own[0, part][0]) * source.network.scales[0, part]
        torch.testing.assert_close(source._turn(0, part, values), scaled @ basis, atol=1e-3, rtol=1e-3)


def test_weights_have_the_lengths_that_their_answers_to_every_direction_say(architecture):
    for mlp in find_mlps(network(architecture)):
        directions, nothing = torch.eye(12), torch.zeros(1, 12)
        with torch.no_grad():
            answers = zip(mlp.pre_activations(directions), mlp.pre_activations(nothing), strict=True)
            expected = [(of_each - of_none).norm(dim=0) for of_each, of_none in answers]
        torch.testing.assert_close(mlp.lengths(), expected, atol=1e-4, rtol=1e-4)


def test_neurons_are_scaled_by_their_weights_unless_they_are_far_livelier(architecture):
    source = rotated(network(architecture))
    for layer, mlp in enumerate(source.network.mlps):
        for part, length in enumerate(mlp.lengths()):
            deviation = source.network.own[layer, part][1]
            deviation[:] = length  # as lively as the weights suggest ...
            deviation[:3] *= torch.tensor([50, 1.5, 0])  # ... but for the first, and the third, which is constant
            expected = 1 / length
            expected[0], expected[2] = expected[0] / 25, 0
            torch.testing.assert_close(source.network._scales()[layer, part], expected)


def test_pieces_and_batches_do_not_matter(architecture):
    model = network(architecture)
    every = whole(rotated(model))
    for start, stop in ((0, 5), (3, 60), (50, len(every))):
        torch.testing.assert_close(whole(rotated(model), start, stop), every[start:stop], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(whole(rotated(model, batch=7)), every, atol=1e-4, rtol=1e-4)


def test_draws_repeat_and_differ():
    model = network("bloom")
    first = whole(rotated(model, ["a", 1]))
    assert torch.equal(first, whole(rotated(model, ["a", 1])))
    assert (first - whole(rotated(model, ["a", 2]))).abs().max() > 0.1


@pytest.mark.parametrize("room", [0, 2000, KEPT_BYTES])
def test_what_is_kept_of_a_network_changes_nothing(architecture, room):
    model = network(architecture)
    network_of_all = opened(model, room=room)
    for seed in (1, 2):
        found = whole(RotatedBeforeNonlinearity(network_of_all, seed=seed))
        assert torch.equal(found, whole(rotated(model, seed)))
    kept = sum(values.nbytes for of_batch in network_of_all.kept.values() for values in of_batch.values())
    assert kept <= room
    assert kept > 0 or not room


def test_a_second_rotation_needs_no_forward_pass_and_pieces_of_it_neither(architecture):
    model = network(architecture)
    of_all = opened(model)
    first, second = (RotatedBeforeNonlinearity(of_all, seed=seed) for seed in (1, 2))
    whole(first)
    called = []
    handle = model.register_forward_pre_hook(lambda *_: called.append(1))
    piece = whole(second, 3, 60)
    handle.remove()
    assert not called
    assert torch.equal(piece, whole(rotated(model, 2))[3:60])


def test_a_constant_neuron_stays_constant():
    model = network("bloom")
    up = find_mlps(model)[0].ups[0]
    with torch.no_grad():
        up.weight[3] = 0
    found = whole(rotated(model))[3]
    assert found.std() == 0
    assert torch.isfinite(whole(rotated(model))).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_values_are_rounded_as_those_of_the_network(dtype):
    assert whole(rotated(network("gpt_neox"), dtype=dtype)).dtype == getattr(torch, dtype)
