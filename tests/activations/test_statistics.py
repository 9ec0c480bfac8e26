"""Running sums against sums over all units at once, for any cut into chunks, and saved and resumed anywhere."""

import contextlib
import itertools

import numpy as np
import pytest
import torch
from as_on_a_card import as_on_a_card, needs_triton, with_kernels
from hypothesis import given, settings
from hypothesis import strategies as st
from running_statistics import LABELS, NEURONS, TOP, UNITS, state_of, statistics
from unit_tables import unit_table

from rosetta_scaling.activations.statistics import BINS, SAMPLED, LabelMatrix, LayerStatistics, NeuronStatistics
from rosetta_scaling.selectivity.input_side import bin_edges
from rosetta_scaling.units.labels import label_units

KINDS = {"labelled": ("previous", "position", "text", "block"), "positive": ("text", "block", "displaced")}


def population(seed: int = 0) -> torch.Tensor:
    """(units, neurons): heavy tails, a large mean, sparse, constants, all zero, never positive, few values, large."""
    rng = np.random.default_rng(seed)
    x = rng.standard_t(5, (UNITS, NEURONS))
    x[:, 1] = 1000 + rng.standard_normal(UNITS)
    x[:, 2] *= rng.random(UNITS) < 0.02
    x[:, 3] = 0.3
    x[:, 4] = 0
    x[:, 5] = -np.abs(x[:, 5]) * 1e-3
    x[:, 6] = rng.integers(-1, 3, UNITS)
    x[:, 7] = np.where(rng.random(UNITS) < 0.5, 0.0, -0.0)
    x[:, 8] *= 1e6
    return torch.tensor(x, dtype=torch.float32)


def assert_same_bytes(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype, name
        assert one[name].numpy().tobytes() == other[name].numpy().tobytes(), name


def strongest_by_sorting(x: np.ndarray, half: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and units (2, top, neurons) by sorting all; -inf and -1 where a half has fewer units than `top`."""
    value, unit = np.full((2, top, x.shape[1]), -np.inf), np.full((2, top, x.shape[1]), -1)
    for code, neuron in itertools.product((0, 1), range(x.shape[1])):
        best = sorted(np.flatnonzero(half == code), key=lambda i: (-x[i, neuron], i))[:top]
        unit[code, : len(best), neuron], value[code, : len(best), neuron] = best, x[best, neuron]
    return value, unit


def assert_strongest(state: dict, x: torch.Tensor, labels=LABELS) -> None:
    value, unit = strongest_by_sorting(x.numpy(), labels.fold[: len(x)], state["top_value"].shape[1])
    np.testing.assert_array_equal(state["top_unit"], unit)
    np.testing.assert_array_equal(state["top_value"], value)


# -- the sums --------------------------------------------------------------------------------------------------------

CUTS = st.lists(st.integers(1, UNITS), max_size=8)


@settings(max_examples=25)
@given(cuts=CUTS)
def test_sums_are_those_over_all_units_at_once(cuts):
    x = population()
    state = state_of(x, cuts)
    d = x.double().numpy()
    first = min([*cuts, UNITS])
    size = np.abs(d).max(0)
    np.testing.assert_allclose(state["shift"], d[:first].mean(0), rtol=1e-6, atol=1e-6 * size.max())
    centred = d - state["shift"].double().numpy()
    assert int(state["count"]) == UNITS
    for power in (1, 2, 3, 4):
        scale = (np.abs(centred) ** power).sum(0)
        error = np.abs(state["power"][power - 1].numpy() - (centred**power).sum(0))
        assert (error <= 1e-4 * scale).all(), "a chunk is summed in float32"
    np.testing.assert_array_equal(state["active"], (d > 0).sum(0))
    for name, values in (("labelled", centred), ("positive", np.maximum(d, 0))):
        rows = LabelMatrix(LABELS).rows[name]
        assert tuple(rows) == KINDS[name]
        for kind, place in rows.items():
            expected = np.zeros((place.stop - place.start, NEURONS))
            for label, value in zip(getattr(LABELS, kind), values, strict=True):
                expected[label] += value
            error = np.abs(state[name][place].numpy() - expected)
            assert (error <= 1e-4 * np.abs(values).sum(0)).all(), kind
        assert rows[KINDS[name][-1]].stop == len(state[name])


@settings(max_examples=25)
@given(cuts=CUTS)
def test_every_eighth_unit_is_in_the_histogram_wherever_chunks_end(cuts):
    x = population(1)
    state = state_of(x, cuts)
    sample = np.abs(x.double().numpy())[::SAMPLED]
    assert int(state["sampled"]) == len(sample)
    edges = np.append(bin_edges()[:-1], np.inf)
    for neuron in range(NEURONS):
        np.testing.assert_array_equal(state["histogram"][neuron], np.histogram(sample[:, neuron], edges)[0])


def test_bins_split_every_octave_in_four():
    edges = bin_edges()
    assert len(edges) == BINS + 1
    np.testing.assert_allclose(edges[144:149], [1, 1.25, 1.5, 1.75, 2])
    below = np.nextafter(edges[1:-1].astype(np.float32), np.float32(0))
    for values, bins in ((edges[1:-1], range(1, BINS)), (below, range(BINS - 1))):
        x = torch.tensor(values[None], dtype=torch.float32)
        for sign in (1, -1):
            state = state_of(sign * x)
            np.testing.assert_array_equal(state["histogram"].argmax(1), list(bins))
    weak, strong = torch.tensor([[1e-30, 0.0, -1e-45]]), torch.tensor([[1e30, -3e38]])
    assert state_of(weak)["histogram"].argmax(1).tolist() == [0, 0, 0]
    assert state_of(strong)["histogram"].argmax(1).tolist() == [BINS - 1] * 2


def test_values_are_taken_as_they_are_stored():
    x = population(2).bfloat16()
    assert_same_bytes(state_of(x, [40, 700]), state_of(x.float(), [40, 700]))


def test_values_of_the_caller_are_left_alone():
    x = population(2)
    before = x.clone()
    state_of(x, [100])
    assert x.equal(before)
    running, state = statistics(), state_of(x[:100])
    saved = {name: tensor.clone() for name, tensor in state.items()}
    running.resume(state)
    running.update(x[100:])
    assert_same_bytes(saved, state)
    early = running.finish()
    kept = {name: tensor.clone() for name, tensor in early.items()}
    running.state["power"] += 1
    running.state["histogram"] += 1
    assert_same_bytes(kept, early)


# -- pieces ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(cuts=CUTS, saved_at=st.sets(st.integers(0, 8)))
def test_saved_and_resumed_anywhere_the_state_ends_with_the_same_bytes(cuts, saved_at):
    x = population(3)
    assert_same_bytes(state_of(x, cuts, saved_at), state_of(x, cuts))


def test_looking_at_the_state_on_the_way_changes_nothing():
    x = population(4)
    running = statistics()
    for part in x.split(100):
        running.update(part)
        running.finish()
    assert_same_bytes(running.finish(), state_of(x, range(100, UNITS, 100)))


# -- the strongest units ---------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(cuts=CUTS, saved_at=st.sets(st.integers(0, 8)), seed=st.integers(0, 3))
def test_the_strongest_units_of_either_half_are_those_of_a_full_sort(cuts, saved_at, seed):
    x = population(seed)
    assert_strongest(state_of(x, cuts, saved_at), x)


@pytest.mark.parametrize("chunk", [1, 3, 50])
def test_small_chunks_find_the_same_strongest_units(chunk):
    x = population(5)[:400]
    assert_strongest(state_of(x, range(chunk, 400, chunk)), x)


@pytest.mark.parametrize("order", [1, -1])
def test_rising_and_falling_neurons(order):
    x = torch.arange(UNITS, dtype=torch.float32)[:, None] * order
    x = torch.cat([x, x // 100, x**2], 1)
    for cuts in ([], range(1, UNITS, 7), range(500, UNITS, 500)):
        assert_strongest(state_of(x, cuts), x)


@settings(max_examples=25)
@given(units=st.integers(1, 40), cuts=st.lists(st.integers(1, 40), max_size=5), top=st.integers(1, 30))
def test_fewer_units_than_are_asked_for(units, cuts, top):
    x = population(6)[:units]
    state = state_of(x, [cut for cut in cuts if cut < units], top=top)
    assert_strongest(state, x)
    assert ((state["top_unit"] < 0) == torch.isinf(state["top_value"])).all()


def test_little_is_put_aside():
    """However often a unit is the strongest so far, and however many tie."""
    x = torch.cat([torch.arange(UNITS, dtype=torch.float32)[:, None], population()[:, 3:5]], 1)
    running = statistics(3, top=2)
    for part in x.split(40):
        running.update(part)
        assert sum(len(unit) for _, unit, _ in running.candidates) <= 4 * 2 * 2 * 3
    assert_strongest(running.finish(), x)


def test_little_is_merged_of_a_silent_neuron(monkeypatch):
    merged, real = [], NeuronStatistics._settle

    def settle(self):
        merged.append(sum(len(unit) for _, unit, _ in self.candidates))
        real(self)

    monkeypatch.setattr(NeuronStatistics, "_settle", settle)
    x = population()[:, 4:5]
    assert_strongest(state_of(x, [UNITS // 2]), x)
    assert merged[0] == 2 * TOP
    assert sum(merged) <= 4 * TOP


def test_a_corpus_with_one_half_only():
    units = unit_table(documents=1, domains=1, longest=200)
    labels = label_units(units, 3)
    assert not labels.fold.any()
    x = population(7)[: len(units)]
    state = state_of(x, [3, 10, 30], labels=labels)
    assert_strongest(state, x, labels)
    assert (state["top_unit"][1] == -1).all()


def test_layers_may_be_summed_up_together():
    x, found = population()[:, :9], []
    for way in (contextlib.nullcontext, as_on_a_card):
        with way():
            first, after_a_kill = (LayerStatistics([4, 5], LabelMatrix(LABELS), TOP, torch.device("cpu")) for _ in "ab")
            first.update(x[:200])
            after_a_kill.resume(first.finish())
            for rows in x[200:].split(200):
                after_a_kill.update(rows)
        assert len(first.groups) == (2 if way is contextlib.nullcontext else 1)
        found.append(list(after_a_kill.finish()))
    for one, other, neurons in zip(*found, (slice(0, 4), slice(4, 9)), strict=True):
        assert_same_bytes(one, state_of(x[:, neurons].contiguous(), range(200, UNITS, 200), saved_at=[0]))
        for key in ("count", "sampled", "active", "histogram", "top_value", "top_unit"):
            assert one[key].equal(other[key]), key
        for key in ("shift", "positive"):  # powers and sums follow the shift, whose last digit may be another
            torch.testing.assert_close(one[key], other[key], atol=0, rtol=1e-5)


@needs_triton
def test_kernels_sum_what_torch_sums():
    x, found = population(), []
    for way in (contextlib.nullcontext, with_kernels):
        with way():
            found.append(state_of(x, range(150, UNITS, 150)))
    expected, state = found
    for key in ("count", "sampled", "active", "histogram", "top_value", "top_unit", "shift"):
        assert state[key].equal(expected[key]), key
    spread = (expected["power"][1] / UNITS).sqrt()
    for i in range(4):
        size = UNITS * spread ** (i + 1)
        assert ((state["power"][i] - expected["power"][i]).abs() <= 1e-5 * size).all()
    for key in ("labelled", "positive"):
        assert ((state[key] - expected[key]).abs() <= 1e-5 * (UNITS * spread + expected[key].abs())).all()
