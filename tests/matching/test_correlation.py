"""The exact matching engine against a numpy float64 oracle and against what theory says of it."""

import errno
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from memory_sources import MemorySource, write_stored
from oracle import assert_best, assert_same, balanced, oracle
from study_runs import SUPPORT

from rosetta_scaling.matching import products
from rosetta_scaling.matching.correlation import match_tile, match_tile_or_quarters, merge_tiles
from rosetta_scaling.matching.neighbours import best_in_rows, mutual_matches
from rosetta_scaling.matching.products import add_products
from rosetta_scaling.matching.tiles import Tile, tiles
from rosetta_scaling.store.errors import StudyError

UNITS, CHUNK = 400, 25
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and only Linux limits the data of a process")


def engine(a, b, k: int = 1, side: int = 10**4, chunk: int = CHUNK, displacement: int = 0, seed: int = 0):
    """Mutual top-k of activations (neurons, units), by tiles of at most `side` neurons merged in a random order."""
    sources = MemorySource(a, chunk), MemorySource(b, chunk, displacement)
    cut = tiles(len(a), len(b), Tile(0, side, 0, side).bytes)
    parts = [(cut[i], *match_tile(*sources, cut[i], k + 1)) for i in np.random.default_rng(seed).permutation(len(cut))]
    best_a, best_b = merge_tiles(Tile(0, len(a), 0, len(b)), parts, k + 1)
    return mutual_matches(best_a, best_b, k), best_a, best_b


def related(seed: int, n: int, m: int, units: int = UNITS) -> tuple[torch.Tensor, torch.Tensor]:
    """Two heavy-tailed populations that share some sources, with means and scales of every size."""
    rng = np.random.default_rng(seed)
    sources = rng.standard_t(4, (max(n, m), units))
    a = sources[:n] + rng.uniform(0, 3, (n, 1)) * rng.standard_normal((n, units))
    b = sources[:m] + rng.uniform(0, 3, (m, 1)) * rng.standard_normal((m, units))
    a = (a + rng.normal(0, 3, (n, 1))) * 10.0 ** rng.uniform(-6, 3, (n, 1))
    return torch.tensor(a, dtype=torch.float32), torch.tensor(b[rng.permutation(m)], dtype=torch.float32)


def pairs(table) -> set:
    return set(zip(table.neuron_a, table.neuron_b, strict=True))


# -- what is found ---------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 24),
    m=st.integers(2, 24),
    k=st.integers(1, 4),
    side=st.integers(1, 50),
    chunk=st.integers(5, UNITS + 1),
)
def test_tiles_equal_the_oracle(seed, n, m, k, side, chunk):
    a, b = related(seed, n, m)
    table, _, _ = engine(a, b, k, side, chunk, seed=seed)
    r = oracle(a, b)
    top_a, top_b = np.argsort(-r, 1)[:, :k], np.argsort(-r.T, 1)[:, :k]
    assert pairs(table) == {(i, j) for i in range(n) for j in top_a[i] if i in top_b[j]}
    np.testing.assert_allclose(table.r, r[table.neuron_a, table.neuron_b], atol=2e-6)
    for row in table.itertuples():
        assert top_a[row.neuron_a][row.rank_a - 1] == row.neuron_b
        assert top_b[row.neuron_b][row.rank_b - 1] == row.neuron_a


def test_more_neurons_than_are_worked_on_at_a_time():
    a, b = related(11, 700, 600)
    _, best_a, best_b = engine(a, b, 3, side=450)
    r = oracle(a, b)
    assert_best(best_a, r, 2e-6)
    assert_best(best_b, r.T, 2e-6)


@pytest.mark.parametrize("k", [1, 3])
def test_margins_are_the_distances_to_the_next_partners(k):
    a, b = related(3, 20, 25)
    table, _, _ = engine(a, b, k, side=7)
    r = oracle(a, b)
    down, up = -np.sort(-r, 1), -np.sort(-r.T, 1)
    np.testing.assert_allclose(table.margin_a, table.r - down[table.neuron_a, table.rank_a], atol=5e-6)
    np.testing.assert_allclose(table.margin_b, table.r - up[table.neuron_b, table.rank_b], atol=5e-6)


@pytest.mark.parametrize(("n", "m"), [(300, 300), (200, 500)])
def test_independent_gaussians_match_as_often_as_theory_says(n, m):
    counts = []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        a, b = torch.randn(n, UNITS, generator=generator), torch.randn(m, UNITS, generator=generator)
        counts.append(len(engine(a, b, chunk=128)[0]))
    expected = n * m / (n + m - 1)
    error = np.std(counts, ddof=1) / np.sqrt(len(counts))
    assert abs(np.mean(counts) - expected) < 4 * error
    assert error < 0.05 * expected


def test_a_model_matches_itself_completely():
    a, _ = related(1, 60, 2)
    a[7], a[8] = 0.25, 0.0  # constant neurons
    table, best, _ = engine(a, a.clone())
    assert set(table.neuron_a) == set(range(60)) - {7, 8}
    assert (table.neuron_a == table.neuron_b).all()
    np.testing.assert_allclose(table.r, 1, atol=1e-6)
    assert best.constant.nonzero().flatten().tolist() == [7, 8]


@pytest.mark.parametrize("k", [1, 3])
def test_constant_neurons_never_match_even_where_all_else_is_negative(k):
    x = torch.randn(1, UNITS, generator=torch.Generator().manual_seed(0))
    constant = torch.full((1, UNITS), 0.25)
    for a, b, expected in ((torch.cat([constant, x]), -x, {(1, 0)}), (-x, torch.cat([constant, x]), {(0, 1)})):
        table, best_a, best_b = engine(a, b, k)
        assert pairs(table) == expected
        np.testing.assert_allclose(table.r, -1, atol=1e-6)
        for best, other in ((best_a, best_b), (best_b, best_a)):
            assert (best.partner[best.constant] == -1).all()
            assert not set(best.partner.flatten().tolist()) & set(other.constant.nonzero().flatten().tolist())


def test_models_of_constant_neurons_alone_have_no_matches():
    table, best_a, best_b = engine(torch.ones(3, UNITS), torch.zeros(4, UNITS), 2)
    assert table.empty
    assert best_a.constant.all()
    assert best_b.constant.all()


def test_one_unit_in_the_last_digit_is_not_constant():
    rows = torch.full((4, 1000), 0.1)
    rows[1, 3] = rows[2, 999] = 0.1000001  # within the first chunk, and in the last
    rows[3] = 1e-45  # the smallest float
    _, best, _ = engine(rows, rows.clone())
    assert best.constant.tolist() == [True, False, False, True]


def test_permuting_neurons_permutes_matches_and_nothing_else():
    a, b = related(2, 50, 40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    before, after = engine(a, b)[0], engine(a, b[order])[0]
    assert pairs(before) == {(i, int(order[j])) for i, j in pairs(after)}
    np.testing.assert_allclose(np.sort(before.r), np.sort(after.r), atol=1e-6)


def test_exchanging_the_models_exchanges_the_sides():
    a, b = related(4, 50, 40)
    forward, backward = engine(a, b, 3)[0], engine(b, a, 3)[0]
    assert pairs(forward) == {(i, j) for j, i in pairs(backward)}


def test_displacement_rolls_the_units_of_the_second_model():
    a, b = related(9, 30, 30)
    shifted, rolled = engine(a, b, displacement=17)[0], engine(a, b.roll(17, 1))[0]
    assert pairs(shifted) == pairs(rolled)
    assert pairs(shifted) != pairs(engine(a, b)[0])


def test_sources_of_different_units_are_refused():
    a, b = related(9, 5, 5)
    with pytest.raises(ValueError, match="shorter"):
        engine(a, b[:, : UNITS - CHUNK])


# -- range and precision ---------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-10, 10))
def test_pearson_ignores_scale_and_shift(scale, shift):
    a, b = related(5, 20, 20)
    moved = ((a.double() + shift * a.double().std(1, keepdim=True)) * scale).float()
    before, after = engine(a, b)[0], engine(moved, b)[0]
    assert pairs(before) == pairs(after)
    np.testing.assert_allclose(before.r, after.r, atol=1e-5)


@pytest.mark.parametrize("exponent", [-37, -30, -12, 12, 18, 37])
def test_tiny_and_huge_activations_keep_their_correlation(exponent):
    a, b = related(6, 10, 10)
    scaled = (a.double() / a.double().abs().amax(1, keepdim=True) * 10.0**exponent).float()
    np.testing.assert_allclose(engine(scaled, b)[0].r, engine(a, b)[0].r, atol=1e-5)


def _first(x: torch.Tensor, factor: float = 1.0, term: float = 0.0) -> torch.Tensor:
    return torch.cat([x[:, :CHUNK] * factor + term, x[:, CHUNK:]], 1)


STRANGE = {
    "a mean of 1000 sd": lambda x: x + 1000,
    "silent at first, then tiny": lambda x: _first(x, 0) * 1e-30,
    "silent at first, then huge": lambda x: _first(x, 0) * 1e30,
    "silent at first, then far away": lambda x: _first(x + 1000, 0),
    "tiny at first": lambda x: _first(x, 1e-30),
    "small at first": lambda x: _first(x, 1e-4),
    "huge at first": lambda x: _first(x, 1e30),
    "a burst at first": lambda x: _first(x, 1, 1000),
    "a burst down at first": lambda x: _first(x, 1, -1000),
    "sparse, but a burst at first": lambda x: _first(torch.relu(x - 1), 1, 3.3),
    "one unit at first": lambda x: _first(x, 0) + 10 * torch.eye(UNITS)[0],
    "ever larger": lambda x: x * torch.logspace(-20, 20, UNITS),
    "ever smaller": lambda x: x * torch.logspace(20, -20, UNITS),
    "a few of all kinds": lambda x: torch.cat([_first(x[:4], 1e-30), x[4:8] * 1e20, x[8:]]),
}


@pytest.mark.parametrize("one", STRANGE)
@pytest.mark.parametrize("other", ["none", "the same", "a mean of 1000 sd", "tiny at first"])
def test_what_the_first_chunk_shows_does_not_matter(one, other):
    x, y = (values / values.std(1, keepdim=True) for values in related(7, 12, 12))
    a, b = STRANGE[one](x), STRANGE.get(one if other == "the same" else other, lambda x: x)(y)
    _, best_a, best_b = engine(a, b)
    r = oracle(a, b)
    assert_best(best_a, r, 1e-5)
    assert_best(best_b, r.T, 1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_stored_values_are_multiplied_as_they_are(dtype):
    a, b = (values.clamp(-1000, 1000).to(dtype) for values in related(10, 30, 30))
    _, best_a, _ = engine(a, b)
    assert_best(best_a, oracle(a, b), 2e-6)


def many_chunks() -> tuple[np.ndarray, np.ndarray]:
    """r of 30 neurons and their noisy copies over 2,000 chunks: by the engine, and in float64."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(30, 2000 * CHUNK, generator=generator)
    b = a + 0.5 * torch.randn(30, 2000 * CHUNK, generator=generator)
    _, best, _ = engine(a, b)
    return best.r[:, 0].numpy(), oracle(a, b).diagonal()


def test_sums_are_float32_or_better():
    ours, expected = many_chunks()
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_the_accumulator_test_can_fail(monkeypatch):
    """Sums in bfloat16 stagnate: they stop growing once a product is less than half their last digit."""

    def in_bfloat16(total, x, y, dtype):
        total.copy_((total.bfloat16() + (x @ y.T).bfloat16()).float())

    monkeypatch.setattr(products, "add_products", in_bfloat16)
    ours, expected = many_chunks()
    assert (np.abs(ours - expected) > 0.5).all()


@pytest.mark.parametrize("rows", [3, 1030])  # 1030: more than one block of rows
def test_bfloat16_products_are_right_to_their_rounding(rows):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(rows, 300, generator=generator), torch.randn(20, 300, generator=generator)
    before = torch.randn(rows, 20, generator=generator)
    total = before.clone()
    add_products(total, x, y, torch.bfloat16)
    exact = x.bfloat16().double() @ y.bfloat16().double().T
    error = (total.double() - before.double() - exact).abs()
    assert (error <= 2.0**-8 * exact.abs() + 1e-5).all()
    assert (error > 2.0**-10 * exact.abs()).any(), "a processor rounds the product"
    in_float32 = torch.zeros(rows, 20)
    add_products(in_float32, x, y, torch.float32)
    torch.testing.assert_close(in_float32.double(), x.double() @ y.double().T, atol=1e-4, rtol=1e-5)
    assert ((in_float32.double() - exact).abs() > 1e-3).any(), "factors are rounded"


# -- ties ------------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6), n=st.integers(1, 30), m=st.integers(1, 30), k=st.integers(1, 6), side=st.integers(1, 31)
)
def test_ties_go_to_the_lower_index_in_whatever_order_tiles_are_merged(seed, n, m, k, side):
    rng = np.random.default_rng(seed)
    values = [-np.inf, -1, -0.5, 0.25, 0.25 + 2.0**-24, 1]
    r = torch.tensor(rng.choice(values, (n, m)), dtype=torch.float32)
    parts = []
    for tile in tiles(n, m, Tile(0, side, 0, side).bytes):
        block, no = r[tile.a0 : tile.a1, tile.b0 : tile.b1], torch.zeros(max(n, m), dtype=torch.bool)
        best_a = best_in_rows(block, k, tile.b0, no[: len(block)])
        parts.append((tile, best_a, best_in_rows(block.T, k, tile.a0, no[: block.shape[1]])))
    parts = [parts[i] for i in rng.permutation(len(parts))]
    for best, rows in zip(merge_tiles(Tile(0, n, 0, m), parts, k), (r, r.T), strict=True):
        for found, partner, row in zip(best.r.tolist(), best.partner.tolist(), rows.tolist(), strict=True):
            order = [j for j in sorted(range(len(row)), key=lambda j: (-row[j], j)) if row[j] > -np.inf][:k]
            assert partner == order + [-1] * (k - len(order))
            assert found == [row[j] for j in order] + [-np.inf] * (k - len(order))


def test_equal_candidates_go_to_the_lower_index_whatever_the_tiling():
    a = balanced(8, 6, UNITS)
    b = torch.cat([a[3:4], a, a[3:4]])  # neuron 3 three times: at 0, 4 and 7
    for side in (1, 2, 3, 100):
        for seed in range(2):
            _, best, _ = engine(a, b, 2, side, chunk=16, seed=seed)
            assert best.partner[3].tolist() == [0, 4, 7]


# -- tiles and their budget ------------------------------------------------------------------------------------------


@pytest.mark.slow(0.5)
@settings(max_examples=60)
@given(n=st.integers(1, 10**5), m=st.integers(1, 10**5), budget=st.integers(10**7, 10**10))
def test_tiles_fit_the_budget_and_fewer_would_not(n, m, budget):
    try:
        cut = tiles(n, m, budget)
    except StudyError:
        reject()  # more tiles than five digits number: see the next test
    assert max(tile.bytes for tile in cut) <= budget
    rows, columns = len({tile.a0 for tile in cut}), len({tile.b0 for tile in cut})
    assert len(cut) == rows * columns
    for neurons, count in ((n, rows), (m, columns)):
        if count > 1:
            side = -(-neurons // (count - 1))
            assert Tile(0, side, 0, side).bytes > budget


@pytest.mark.parametrize("budget", [10**6, 10**7, 10**8])
def test_the_side_of_a_tile_is_the_largest_that_fits(budget):
    side = max(side for side in range(1, 5000) if Tile(0, side, 0, side).bytes <= budget)
    assert len(tiles(side, side, budget)) == 1
    assert len(tiles(side + 1, side + 1, budget)) == 4


@pytest.mark.parametrize("budget", [0, 10**4])
def test_a_budget_below_one_neuron_is_refused(budget):
    with pytest.raises(StudyError, match=r"matching\.memory_mb.*raise it"):
        tiles(10, 10, budget)


# -- when memory runs out --------------------------------------------------------------------------------------------


class Failing(MemorySource):
    """A source that raises `error` while it is read, on the first `times` passes."""

    def __init__(self, values, error: Exception, times: int):
        super().__init__(values)
        self.error, self.times = error, times

    def chunks(self, start=0, stop=None):
        for values in super().chunks(start, stop):
            yield values
            if self.passes <= self.times:
                raise self.error


OUT_OF_MEMORY = {
    "torch on a GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "torch on a processor": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    "Python": MemoryError(),
    "numpy": MemoryError("Unable to allocate 8.00 EiB"),
    "a file that cannot be mapped": OSError(errno.ENOMEM, "Cannot allocate memory"),
}


@pytest.mark.parametrize("kind", OUT_OF_MEMORY)
def test_a_tile_that_does_not_fit_is_cut_into_quarters_once(kind, caplog):
    a, b = balanced(0, 21, 256), balanced(1, 30, 256)
    tile = Tile(3, 20, 5, 30)
    expected = match_tile(MemorySource(a), MemorySource(b), tile, 3)
    with caplog.at_level(logging.WARNING):
        source = Failing(a, OUT_OF_MEMORY[kind], 1)
        found = match_tile_or_quarters(source, MemorySource(b), tile, 3)[256]
    assert source.passes == 1 + 4
    assert len(caplog.records) == 1
    assert "half the size" in caplog.text
    assert_same(found, expected)
    source = Failing(a, OUT_OF_MEMORY[kind], 2)
    with pytest.raises(type(OUT_OF_MEMORY[kind])):
        match_tile_or_quarters(source, MemorySource(b), tile, 3)
    assert source.passes == 2


@pytest.mark.parametrize("error", [RuntimeError("the stack is empty"), OSError(errno.EIO, "disk"), StudyError("x")])
def test_other_errors_are_not_taken_for_a_lack_of_memory(error, caplog):
    source = Failing(balanced(0, 8, 256), error, 1)
    with pytest.raises(type(error)) as caught:
        match_tile_or_quarters(source, MemorySource(balanced(1, 8, 256)), Tile(0, 8, 0, 8), 2)
    assert caught.value is error
    assert source.passes == 1
    assert not caplog.records


def in_a_process(script: str, *arguments) -> subprocess.CompletedProcess:
    """Run a script in a process of its own, in the folder of what tests share.

    memory(name) reads /proc: ru_maxrss would not do, since a process inherits it from the one that started it.
    """
    head = """
import logging, re, resource, sys, torch
from memory_sources import MemorySource
from oracle import assert_same, balanced
from rosetta_scaling.matching.correlation import match_tile, match_tile_or_quarters
from rosetta_scaling.matching.tiles import Tile, tiles
from rosetta_scaling.activations.sources import StoredActivations
torch.set_num_threads(1)
memory = lambda name: 1024 * int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
    command = [sys.executable, "-c", head + script, *map(str, arguments)]
    returned = os.environ | {"MALLOC_MMAP_THRESHOLD_": "100000"}  # what is freed goes back at once
    return subprocess.run(command, capture_output=True, text=True, cwd=SUPPORT, env=returned)


@linux
@pytest.mark.parametrize(("allowed", "ends"), [(66, True), (10, False)])
@pytest.mark.slow(0.2)
def test_a_process_that_runs_out_of_memory(allowed, ends):
    """A tile that takes 90 MB where `allowed` MB are left; a quarter takes 44."""
    script = """
a, b = MemorySource(balanced(0, 4000, 64)), MemorySource(balanced(1, 4000, 64))
whole = Tile(0, 4000, 0, 4000)
expected = match_tile(a, b, whole, 2)
resource.setrlimit(resource.RLIMIT_DATA, (memory("VmData") + int(sys.argv[1]) * 10**6,) * 2)
logging.basicConfig(stream=sys.stdout)
assert_same(match_tile_or_quarters(a, b, whole, 2)[64], expected)
print("the same")
"""
    done = in_a_process(script, allowed)
    lines = done.stdout.splitlines()
    assert "half the size" in lines[0], done.stderr
    if ends:
        assert lines[1:] == ["the same"], done.stderr
    else:
        assert len(lines) == 1
        assert "RuntimeError" in done.stderr
        assert "memory" in done.stderr


@pytest.mark.slow(0.3)
@linux
def test_peak_memory_stays_within_the_budget(tmp_path):
    """3,000 stored neurons against themselves, displaced, over 6,000 units in tiles of at most 100 MB."""
    values = torch.randn(3000, 6000, generator=torch.Generator().manual_seed(0), dtype=torch.bfloat16)
    write_stored(tmp_path / "a", values, 2048)
    script = """
a, b = StoredActivations(sys.argv[1]), StoredActivations(sys.argv[1], displacement=1234)
match_tile(a, b, Tile(0, 40, 0, 40), 2)  # what libraries allocate once
if sys.argv[3] == "limited":
    resource.setrlimit(resource.RLIMIT_DATA, (memory("VmData") + int(sys.argv[2]) + 20 * 10**6,) * 2)
cut, before = tiles(3000, 3000, int(sys.argv[2])), memory("VmRSS")
for tile in cut:
    match_tile(a, b, tile, 2)
print(len(cut), memory("VmHWM") - before)
"""
    for limit in ("measured", "limited"):
        done = in_a_process(script, tmp_path / "a", 10**8, limit)
        assert done.returncode == 0, done.stderr
        count, growth = map(int, done.stdout.split())
        assert count > 4
        assert 4 * 3000**2 / count < growth < 10**8  # at least its sums, or nothing was measured


def test_best_partners_are_mutual_when_each_is_the_best_of_the_other():
    r = torch.tensor([[0.9, 0.1, -torch.inf], [0.8, 0.2, -torch.inf], [0.3, 0.7, -torch.inf], [-torch.inf] * 3])
    constant = torch.zeros(4, dtype=torch.bool)
    a, b = best_in_rows(r, 2, 0, constant), best_in_rows(r.T, 2, 0, constant[:3])
    assert mutual_matches(a, b, 1)[["neuron_a", "neuron_b"]].to_numpy().tolist() == [[0, 0], [2, 1]]
    assert mutual_matches(b, a, 1)[["neuron_a", "neuron_b"]].to_numpy().tolist() == [[0, 0], [1, 2]]
