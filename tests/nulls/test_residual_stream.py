"""A negative control: residual streams have subspaces in common but no basis, so their coordinates are no neurons.

Streams of networks of several seeds differ by a random rotation (arXiv 2605.24577). The hardest case is a stream and
itself, rotated: one tells the other exactly, and yet no coordinate of one is any coordinate of the other.
"""

import numpy as np
import pytest
import torch
from planted_truth import decoy_draws, orthogonal, partners, standard
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from rosetta_scaling.nulls.calibration import candidates, compete
from rosetta_scaling.points.lists import beyond_decoys

DRAWS, WIDTH, ROTATIONS = 8, 96, 60


def stream(seed: int) -> np.ndarray:
    """The residual stream (coordinates, units) of a random transformer that reads tokens by Zipf's law."""
    tokens = torch.from_numpy(np.random.default_rng(0).zipf(1.3, (24, 32)) % 300)
    torch.manual_seed(seed)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 4 * WIDTH}
    model = GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=300, initializer_range=0.2, **sizes)).eval()
    with torch.no_grad():
        found = model(tokens, output_hidden_states=True).hidden_states[1]
    return standard(found.flatten(0, 1).T.numpy())


def beyond(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """How many coordinates of a stream have a partner in another one beyond decoys, which are rotations of that.

    Over their deviations first, coordinates would make decoys too weak: 1.7 too many would be beyond them.
    """
    decoys = {draw: orthogonal(rng, WIDTH) @ b for draw in range(DRAWS)}
    found = compete(candidates(partners(a, b), decoy_draws(a, decoys), WIDTH, "a"))
    return beyond_decoys(found, 1.0, 0.95)


@pytest.mark.parametrize("other", [0, 1], ids=["the same stream", "another network"])
@pytest.mark.slow(0.1)
def test_rotated_coordinates_of_a_residual_stream_share_no_neuron(other):
    a, b, rng = stream(0), stream(other), np.random.default_rng(1)
    found = [beyond(a, orthogonal(rng, WIDTH) @ b, rng) for _ in range(ROTATIONS)]
    values = np.array([row["beyond_decoys"] for row in found])
    assert abs(values.mean()) < 3 * values.std() / ROTATIONS**0.5, "on average nothing"
    assert np.mean([row["beyond_decoys_low"] <= 0 <= row["beyond_decoys_high"] for row in found]) >= 0.9
    assert np.mean([row["decoy_wins"] for row in found]) > 2, "there is something to be won by chance"


def test_coordinates_that_are_shared_are_found():
    """The control can fail: the same streams in one basis, with as much noise again."""
    a, rng = stream(0), np.random.default_rng(1)
    row = beyond(a, a + rng.standard_normal(a.shape), rng)
    assert row["beyond_decoys_low"] > WIDTH / 2
