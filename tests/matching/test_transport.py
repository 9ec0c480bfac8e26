"""Neurons matched one to one: worth the most of all partial matchings, and right where the truth is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from memory_sources import MemorySource
from planted_truth import planted

from rosetta_scaling.matching.transport import transport, transport_table, transported_pairs
from rosetta_scaling.numerics.intervals import of_excess

CORRELATIONS = arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    elements=st.floats(-1, 1, width=32) | st.just(-np.inf),
)
PRICES = st.sampled_from([0.0, 0.25, 0.5, 0.75])


def most(gain: np.ndarray, free: frozenset[int]) -> float:
    """The most that any partial matching of the rows of gain with free columns is worth, by trying all."""
    if not len(gain):
        return 0.0
    alone = most(gain[1:], free)
    return max([alone, *(gain[0, one] + most(gain[1:], free - {one}) for one in free)])


@given(CORRELATIONS, PRICES)
def test_it_is_worth_as_much_as_the_best_of_all_partial_matchings(r, min_r):
    a, b = transported_pairs(r, min_r)
    assert len(set(a)) == len(set(b)) == len(a)
    assert (r[a, b] > min_r).all()
    gain = r.astype(float) - min_r
    assert gain[a, b].sum() == pytest.approx(most(gain, frozenset(range(r.shape[1]))), abs=1e-6)


@given(CORRELATIONS, PRICES)
def test_there_are_at_least_as_many_as_mutual_best_partners_and_no_pair_of_lonely_ones_is_left(r, min_r):
    found = transport_table(r, min_r)
    chosen = found[found.transported]
    if len(np.unique(r)) == r.size:  # among equal ones several may be best
        assert len(chosen) >= found.mutual.sum()
    rest = np.delete(np.delete(r, chosen.neuron_a, axis=0), chosen.neuron_b, axis=1)
    assert (rest <= min_r).all()
    assert found[["transported", "mutual"]].any(axis=1).all()


@given(CORRELATIONS, PRICES)
def test_the_names_and_the_order_of_networks_and_neurons_do_not_matter(r, min_r):
    if len(np.unique(r)) < r.size:
        return
    pairs = set(zip(*transported_pairs(r, min_r), strict=True))
    assert {(a, b) for b, a in zip(*transported_pairs(r.T, min_r), strict=True)} == pairs
    last = len(r) - 1
    assert {(last - a, b) for a, b in zip(*transported_pairs(r[::-1], min_r), strict=True)} == pairs


def test_a_mutual_pair_is_given_up_for_two_pairs_that_are_worth_more():
    found = transport_table(np.array([[0.5, 0.45], [0.45, 0.0]]), 0.3)
    assert found[found.transported][["neuron_a", "neuron_b"]].to_numpy().tolist() == [[0, 1], [1, 0]]
    assert found[found.mutual][["neuron_a", "neuron_b"]].to_numpy().tolist() == [[0, 0]]


def two_for_one() -> tuple[MemorySource, MemorySource]:
    """Two neurons of A that are best matched by neuron 1 of B, and a constant one."""
    rng = np.random.default_rng(3)
    b = rng.standard_normal((3, 500))
    a = np.stack([b[1] + 0.7 * rng.standard_normal(500), b[1] + 0.3 * rng.standard_normal(500), np.full(500, 2.0)])
    return tuple(MemorySource(torch.tensor(1e3 + x, dtype=torch.float32)) for x in (a, b))


def test_of_two_neurons_with_the_same_best_partner_one_is_matched():
    a, b = two_for_one()
    found = transport(a, b, 0.3)
    assert found[["neuron_a", "neuron_b", "transported", "mutual"]].to_numpy().tolist() == [[1, 1, True, True]]
    expected = np.corrcoef(a.values[1], b.values[1])[0, 1]
    assert found.r.to_numpy() == pytest.approx([expected], abs=1e-4)


def test_above_the_largest_r_nothing_is_matched():
    found = transport(*two_for_one(), 0.99)
    assert found.empty
    assert list(found) == ["neuron_a", "neuron_b", "r", "transported", "mutual"]


MIN_R, DRAWS = 0.4, 8
SHAPES = (("gelu", "gelu"), ("relu", "gated"), ("gelu", "silu"))


def judged(seed: int, share: float | None = None) -> dict[str, float]:
    """What is matched one to one of networks whose shared neurons are known, and of draws of decoys."""
    pair = planted(seed, 192, SHAPES[seed % 3], share=share, units=2048)
    first, network = pair.networks
    a, others = first.activations(), [network.activations(), *map(network.activations, range(DRAWS))]
    tables = [transport(*(MemorySource(torch.from_numpy(x), 512) for x in (a, b)), MIN_R) for b in others]
    real, *draws = [table[table.transported] for table in tables]
    r = np.corrcoef(a, others[0])[: len(a), len(a) :]
    strong = {(one, other) for one, other in pair.true().items() if r[one, other] > MIN_R}
    excess = of_excess(len(real), np.array([len(draw) for draw in draws], float), 0.95)
    return {
        "strong": len(strong),
        "found": len(strong & set(zip(real.neuron_a, real.neuron_b, strict=True))),
        "real": len(real),
        "decoys": np.mean([len(draw) for draw in draws]),
        "excess": excess.value,
        "above zero": excess.low > 0,
        "holds zero": excess.low <= 0 <= excess.high,
    }


def test_planted_pairs_are_found():
    row = judged(0)
    assert row["found"] >= 0.9 * row["strong"] > 0
    assert row["above zero"]


@pytest.mark.slow(1)
def test_planted_pairs_are_beyond_decoys_and_nothing_is_where_nothing_is_shared():
    """The excess holds less than what is planted: decoys, too, read what is shared on the residual stream."""
    shared, alone = (pd.DataFrame([judged(seed, share) for seed in range(16)]).mean() for share in (None, 0.0))
    print(f"\n{pd.DataFrame({'shared': shared, 'not shared': alone}).round(2)}")
    assert shared.found >= 0.97 * shared.strong
    assert shared["above zero"] >= 0.9
    assert 0 < shared.excess < shared.found
    assert alone.decoys < 0.02 * 192
    assert abs(alone.real - alone.decoys) < 1
    assert alone["holds zero"] >= 0.9
