"""The exact engine as a GPU runs it: rounded factors, bounds, and the second pass that settles what they leave open."""

import numpy as np
import pytest
import torch
from as_on_a_card import Allocated, Operators, as_on_a_card, needs_triton, with_kernels
from memory_sources import MemorySource
from oracle import assert_best, balanced, oracle

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.matching import rounded, settling
from rosetta_scaling.matching.correlation import (
    match_tile,
    match_tile_growing,
    match_tile_or_quarters,
    merge_tiles,
)
from rosetta_scaling.matching.neighbour_files import read_neighbours, write_neighbours
from rosetta_scaling.matching.neighbours import Growth, partner_table
from rosetta_scaling.matching.rounded import BLOCK, GATHERED, RoundedProducts, error_bound
from rosetta_scaling.matching.tiles import RANKED_BYTES, Tile, tiles
from rosetta_scaling.numerics import devices
from rosetta_scaling.numerics.rounded import RoundedMoments
from rosetta_scaling.store.errors import StudyError

UNITS, CHUNK = 1200, 100


def models(dtype: torch.dtype, n: int = 300, m: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two populations that share sources, some as a nonlinearity makes them, with neurons of every awkward kind."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(max(n, m), UNITS, generator=generator)
    a = shared[:n] + 0.5 * torch.randn(n, UNITS, generator=generator)
    b = shared[:m] + 2 * torch.rand(m, 1, generator=generator) * torch.randn(m, UNITS, generator=generator)
    a[: n // 2] = a[: n // 2].relu()
    a[10] += 50  # a mean far from zero
    a[11] = 7.0  # constant
    a[12, :CHUNK] = 0  # silent at first
    b[13] = b[14]  # twins
    b[15] *= 1e-4
    b[16, : 2 * CHUNK] *= 1e-4  # later 10,000 times as large: beyond what float16 holds
    b[17] += 3000 * (torch.arange(UNITS) > UNITS // 2)
    return a.to(dtype), b.to(dtype)


def sources(a: torch.Tensor, b: torch.Tensor) -> tuple[MemorySource, MemorySource]:
    return MemorySource(a, CHUNK), MemorySource(b, CHUNK)


def engine(a: torch.Tensor, b: torch.Tensor, k: int = 3, side: int = 10**4):
    """The k best partners both ways, in tiles of at most `side` neurons."""
    cut = tiles(len(a), len(b), Tile(0, side, 0, side).bytes)
    parts = [(tile, *match_tile(*sources(a, b), tile, k)) for tile in cut]
    return merge_tiles(Tile(0, len(a), 0, len(b)), parts, k)


def assert_same_partners(found, expected) -> None:
    """The same partners in the same order, where a processor itself can tell them apart; r to the digits of float32."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.constant, other.constant)
        torch.testing.assert_close(one.r, other.r, atol=3e-6, rtol=0)
        gap = torch.nn.functional.pad((other.r[:, :-1] - other.r[:, 1:]).abs(), (1, 1), value=1.0).nan_to_num(1.0)
        told = (gap[:, :-1] > 2e-6) & (gap[:, 1:] > 2e-6)
        assert told.float().mean() > 0.95
        np.testing.assert_array_equal(one.partner[told], other.partner[told])


DTYPES = [torch.bfloat16, torch.float16, torch.float32]


@pytest.mark.parametrize("dtypes", [*zip(DTYPES, DTYPES, strict=True), (torch.bfloat16, torch.float32)])
@pytest.mark.parametrize("side", [10**4, 130])
def test_a_gpu_finds_the_partners_of_a_processor(dtypes, side):
    a, b = models(dtypes[0])[0], models(dtypes[1])[1]
    expected = engine(a, b)
    with as_on_a_card():
        found = engine(a, b, side=side)
    assert_same_partners(found, expected)
    assert_best(found.a, oracle(a, b), 3e-6)
    tables = [partner_table(*best, 1)[["neuron_a", "neuron_b", "rank_a", "rank_b"]] for best in (found, expected)]
    assert tables[0].equals(tables[1])


def coarsely(monkeypatch, digits: int = 4) -> None:
    """Factors keep so many binary digits: a rounding that changes partners unless it is seen and settled."""
    add = RoundedMoments._add_whole

    def few_digits(self, values, out, rest=None):
        before = self.lost.clone()
        add(self, values, out, rest)
        exact = (values.float() - self.shift[:, None]) * self.scale[:, None]
        mantissa, exponent = torch.frexp(exact)
        out.copy_(torch.ldexp((mantissa * 2**digits).round() / 2**digits, exponent))
        change = exact.double() - out.double()
        self.lost = before + (change / self.scale[:, None]).square().sum(1)

    monkeypatch.setattr(RoundedMoments, "_add_whole", few_digits)
    monkeypatch.setattr(rounded, "MOST_LOSS", 0.1)
    monkeypatch.setattr(rounded, "OPENED", 100)
    monkeypatch.setattr(rounded, "KEPT", 100)


@pytest.mark.parametrize(
    ("digits", "rescored"),
    [(4, "0 and 0 neurons, with all others 299 and 199"), (7, "299 and 199 neurons, with all others 0 and 0")],
)
def test_partners_do_not_depend_on_how_factors_are_rounded(monkeypatch, caplog, tmp_path, digits, rescored):
    a, b = models(torch.bfloat16)
    b = torch.cat([b[:16], b[17:]])  # without its hard neuron, which would have every neuron re-scored
    expected = engine(a, b)
    coarsely(monkeypatch, digits)
    with as_on_a_card():
        with caplog.at_level("INFO"):
            found = engine(a, b)
        assert_same_partners(found, expected)
        assert caplog.messages[0].endswith(rescored)
        assert [int(side.rescored.sum()) for side in (*found, *expected)] == [299, 199, 0, 0]
        whole = Tile(0, len(a), 0, len(b))
        write_neighbours(tmp_path / "tile", whole, Growth({UNITS: found}))
        assert read_neighbours(tmp_path / "tile")[1].final.a.rescored.equal(found.a.rescored)
        monkeypatch.setattr(rounded, "_bound", lambda summed, mine, other: 0 * mine[0] * other[0])
        wrong = engine(a, b)
    assert (wrong.a.partner != expected.a.partner).any(), "without bounds the rounding decides"


@pytest.mark.parametrize(
    ("dtypes", "coarse"),
    [
        ((torch.bfloat16, torch.bfloat16), False),
        ((torch.bfloat16, torch.bfloat16), True),
        ((torch.float32, torch.float32), False),
        ((torch.bfloat16, torch.float32), False),
    ],
)
def test_r_is_within_its_bound(monkeypatch, dtypes, coarse):
    a, b = models(dtypes[0])[0], models(dtypes[1])[1]
    if coarse:
        coarsely(monkeypatch)
    products = RoundedProducts(len(a), len(b), CHUNK, "cpu")
    for x, y in zip(a.split(CHUNK, 1), b.split(CHUNK, 1), strict=True):
        products.add(x, y)
    mine, other = products.sides()
    every = slice(0, len(a))
    bound = error_bound(mine, other, every, torch.arange(len(b)).expand(len(a), -1)).numpy()
    r = products.total * mine.weight[:, None] * other.weight - mine.offset[:, None] * other.offset
    told = ~(mine.left_out[:, None] | other.left_out).numpy()
    error = np.abs(r.numpy() - oracle(a, b))
    assert (error <= bound)[told].all()
    assert told.mean() > 0.9
    if not coarse:
        assert np.median(bound[told]) < 3e-4, "a bound that is too wide would have everything re-scored"
        assert np.median(error[told]) < 1e-6, "both terms of float32 are multiplied"
    assert other.hard[16], "its factors are cut"
    assert mine.constant.nonzero().flatten().tolist() == [11]


def test_what_sums_lose_between_chunks_is_bounded():
    """Sums of 64 lose all that is added to them where it is less than half of their last digit, 2^-17."""
    products, small = RoundedProducts(1, 1, 64, "cpu"), torch.full((1, 1), 0.99 * 2.0**-9).bfloat16()
    products.add(*[torch.tensor([[1.0, -1.0] * 32]).bfloat16()] * 2)
    for sign in [1, -1] * 500:
        products.add(sign * small, sign * small)
    near = products.draft(1).near_a
    lost = 1 - near.r[0, 0].item()
    assert lost > rounded.SUMMED, "more than one product may lose"
    assert lost <= near.bound[0, 0].item() < 2 * lost


@needs_triton
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_kernels_find_the_partners_of_a_processor(monkeypatch, dtype):
    monkeypatch.setattr(rounded, "SEGMENT", 16)
    a, b = models(dtype, 40, 25)
    expected = engine(a, b)
    with with_kernels():
        found = engine(a, b)
    assert_same_partners(found, expected)


@needs_triton
def test_kernels_round_as_torch_does():
    a = models(torch.float16, 40)[0]
    found, expected = (RoundedMoments(40) for _ in range(2))
    outs = torch.zeros(2, 2, 40, CHUNK, dtype=torch.float16)
    for x in a.split(CHUNK, 1):
        with with_kernels():
            found.add(x, *outs[0])
        expected.add(x, *outs[1])
    near = (found.shift - expected.shift).abs() <= 2.0**-8 * expected.shift.abs()  # the interpreter cuts bfloat16
    assert near.all()
    torch.testing.assert_close(found.mean(), expected.mean(), atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(found.deviation(), expected.deviation(), atol=1e-7, rtol=1e-6)
    same = found.shift == expected.shift
    assert same.sum() >= 39
    torch.testing.assert_close(found.loss()[same], expected.loss()[same], atol=1e-9, rtol=1e-3)
    assert outs[0, :, same].equal(outs[1, :, same])


def test_values_of_16_bits_are_multiplied_as_they_are():
    a, _ = models(torch.bfloat16)
    moments, out = RoundedMoments(len(a)), torch.empty(len(a), UNITS, dtype=torch.float16)
    moments.add(a, out)
    loss = moments.loss()
    assert (loss == 0).float().mean() > 0.4
    assert loss.quantile(0.9) < 1e-6


def test_rounding_costs_float32_less_than_the_sums_do():
    a, _ = models(torch.float32)
    moments, terms = RoundedMoments(len(a)), torch.empty(2, len(a), UNITS, dtype=torch.float16)
    moments.add(a, *terms)
    assert moments.loss().quantile(0.9) < 2.0**-20
    values = terms.double().sum(0) / moments.scale[:, None] + moments.shift[:, None]
    torch.testing.assert_close(values, a.double(), atol=1e-5, rtol=1e-5)


def test_moments_are_those_of_the_values():
    a, _ = models(torch.bfloat16)
    moments, out = RoundedMoments(len(a)), torch.empty(len(a), CHUNK, dtype=torch.float16)
    for x in a.split(CHUNK, 1):
        moments.add(x, out)
    torch.testing.assert_close(moments.mean(), a.double().mean(1))
    torch.testing.assert_close(moments.deviation(), a.double().std(1, correction=0), atol=1e-9, rtol=1e-6)


def test_twins_and_ties_go_to_the_lower_index():
    a = balanced(8, 6, 400)
    b = torch.cat([a[3:4], a, a[3:4]])  # neuron 3 three times: at 0, 4 and 7
    with as_on_a_card():
        for side in (2, 100):
            assert engine(a, b, 2, side).a.partner[3].tolist() == [0, 4]


@pytest.mark.parametrize("opened", [0, 3])
def test_neurons_with_too_many_candidates_are_correlated_with_all(monkeypatch, opened):
    a = models(torch.bfloat16)[0][:40]
    b = torch.cat([a] * 10)  # ten twins of every neuron
    monkeypatch.setattr(rounded, "OPENED", opened)
    monkeypatch.setattr(rounded, "SEGMENT", 16)
    monkeypatch.setattr(rounded, "KEPT", 2)
    with as_on_a_card():
        found = engine(a, b, 2)
    for neuron in range(40):
        if neuron != 11:
            assert found.a.partner[neuron].tolist() == [neuron, neuron + 40]
    assert (found.a.partner[11] == -1).all()


def test_partners_on_the_way_are_those_of_so_many_units():
    a, b = models(torch.bfloat16)
    with as_on_a_card():
        growth = match_tile_growing(*sources(a, b), Tile(0, 300, 0, 200), 2, shares=[0.25, 0.5])
    assert list(growth) == [300, 600, UNITS]
    for units, found in growth.items():
        assert_same_partners(found, match_tile(*sources(a[:, :units], b[:, :units]), Tile(0, 300, 0, 200), 2))


def test_activations_are_read_again_only_when_something_is_open():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(6, UNITS, generator=generator)
    clear = a + 0.1 * torch.randn(6, UNITS, generator=generator)
    one, other = sources(a.bfloat16(), clear.bfloat16())
    with as_on_a_card():
        match_tile(one, other, Tile(0, 6, 0, 6), 1)
        assert one.passes == 1
        match_tile(one, other, Tile(0, 6, 0, 4), 1)  # a part of the pair: r is compared with other tiles
    assert one.passes == 3


def product_in_pieces(total, x, y, _dtype) -> None:
    """add_products with little memory of its own, as a GPU makes it."""
    for at in range(0, x.shape[1], 64):
        total.addmm_(x[:, at : at + 64].float(), y[:, at : at + 64].float().T)


def rounding_in_pieces(self, values, out, rest=None) -> None:
    """RoundedMoments.add with little memory of its own, as a kernel has; values are of size 1."""
    for rows in torch.arange(len(values)).split(64):
        out[rows] = values[rows].half()
        if rest is not None:
            rest[rows] = (values[rows] - out[rows]).half()
        self.sum[rows] += values[rows].sum(1)
        self.squares[rows] += values[rows].float().square().sum(1)
    self.exponent.zero_()
    self.scale.fill_(1)
    self.count += values.shape[1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_tile_takes_the_memory_of_a_gpu_that_is_planned(monkeypatch, dtype):
    monkeypatch.setattr(rounded, "add_products", product_in_pieces)
    monkeypatch.setattr(RoundedMoments, "add", rounding_in_pieces)
    entries = 2**18  # ranked at a time: 32 bytes each
    monkeypatch.setattr(rounded, "GATHERED", entries)
    monkeypatch.setattr(rounded, "BLOCK", entries)
    n, m, units = 900, 700, 2 * CHUNK_UNITS
    a = torch.randn(n, units, generator=torch.Generator().manual_seed(0))
    b = a[:m] + torch.randn(m, units, generator=torch.Generator().manual_seed(1))
    tile = Tile(0, n, 0, m)
    with as_on_a_card(), Allocated() as seen:
        match_tile(MemorySource(a.to(dtype), CHUNK_UNITS), MemorySource(b.to(dtype), CHUNK_UNITS), tile, 2)
    least = 4 * n * m + 2 * CHUNK_UNITS * (n + m)
    assert least < seen.peak <= tile.card_bytes - RANKED_BYTES + 32 * entries
    assert 32 * GATHERED <= RANKED_BYTES
    assert 4 * BLOCK <= RANKED_BYTES


def test_tiles_for_a_gpu_are_as_large_as_fits():
    for memory in (2 * 10**9, 10**10, 7 * 10**10):
        cut = tiles(200_000, 150_000, memory, on_card=True)
        assert all(tile.card_bytes <= memory for tile in cut)
        assert sum((t.a1 - t.a0) * (t.b1 - t.b0) for t in cut) == 200_000 * 150_000
        side = max(max(t.a1 - t.a0, t.b1 - t.b0) for t in cut)
        assert Tile(0, 2 * side, 0, 2 * side).card_bytes > memory
    with pytest.raises(StudyError, match="gpu_memory_gb"):
        tiles(10, 10, RANKED_BYTES, on_card=True)


def test_a_tile_is_cut_for_what_is_free_on_the_gpu(monkeypatch):
    a, b = models(torch.bfloat16)
    expected = engine(a, b)
    monkeypatch.setattr(devices, "free_memory", lambda device: Tile(0, 130, 0, 130).card_bytes)
    one, other = sources(a, b)
    with as_on_a_card():
        found = match_tile_or_quarters(one, other, Tile(0, len(a), 0, len(b)), 3).final
    assert_same_partners(found, expected)
    assert one.passes > 4


def operators(neurons: int) -> tuple[int, int]:
    """Operators and values read from the device while a chunk is taken in."""
    a, b = (torch.randn(neurons, CHUNK).bfloat16() for _ in range(2))
    with as_on_a_card():
        products = RoundedProducts(neurons, neurons, CHUNK, "cpu")
        products.add(a, b)
        with Operators() as seen:
            products.add(a, b)
    return seen.count.total(), seen.reads


def test_a_chunk_takes_as_many_operators_whatever_the_number_of_neurons():
    few, many = operators(20), operators(900)
    assert few == many
    assert few[0] < 120
    assert few[1] == 0, "a value that is read makes a GPU wait"


def test_pairs_are_summed_in_pieces_as_at_once(monkeypatch):
    a, b = (values.float() for values in models(torch.bfloat16))
    pairs = torch.stack([torch.arange(150), torch.arange(150).flip(0)])
    means = a.mean(1), b.mean(1)
    expected = ((a - means[0][:, None])[pairs[0]].double() * (b - means[1][:, None])[pairs[1]].double()).sum(1)
    for gathered in (2**24, 7 * UNITS):
        monkeypatch.setattr(settling, "GATHERED", gathered)
        sums = torch.zeros(150, dtype=torch.float64)
        settling.add_pair_products(sums, (a, b), pairs, means)
        torch.testing.assert_close(sums, expected, atol=1e-2, rtol=1e-5)
