"""Seeds from names: results that users already have hang on these very numbers."""

import json
from hashlib import sha256

import pytest
import torch

from rosetta_scaling.numerics.seeds import generator, seed_from, torch_seed


@pytest.mark.parametrize(
    ("value", "seed"),
    [
        (["shift", "a-1", "b-2"], 2723414736704572988),
        ([0, "permute", 3], 2629410044095403085),
        (7, 8719647946811673230),
        ([48, 16], 17616415305913879260),
    ],
)
def test_seeds_are_the_same_as_ever(value, seed):
    assert seed_from(value) == seed
    assert seed_from(value) == int(sha256(json.dumps(value).encode()).hexdigest()[:16], 16)
    assert torch_seed(value) == seed % 2**63 < 2**63


def test_generators_of_equal_names_draw_equal_numbers():
    drawn = [torch.randn(5, generator=generator("null", i)) for i in (0, 0, 1)]
    assert drawn[0].equal(drawn[1])
    assert not drawn[0].equal(drawn[2])
    assert drawn[0].equal(torch.randn(5, generator=torch.Generator().manual_seed(torch_seed(["null", 0]))))
