"""Sketches: what they estimate, and that matching by them finds what the float64 oracle finds, or says it may not."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from memory_sources import MemorySource
from oracle import assert_best, oracle
from torch.testing import assert_close

from rosetta_scaling.matching import candidates as candidates_module
from rosetta_scaling.matching import rescoring, sketch
from rosetta_scaling.matching import tiles as plan
from rosetta_scaling.matching.candidates import Candidates, Search, find_candidates
from rosetta_scaling.matching.neighbours import mutual_matches
from rosetta_scaling.matching.products import add_products
from rosetta_scaling.matching.rescoring import match_by_sketch, rescore
from rosetta_scaling.matching.sketch import Sketch, error_bound, signs, write_sketch
from rosetta_scaling.matching.tiles import Tile, tiles

CPU = torch.device("cpu")
UNITS = 20_011
FAMILY = 3  # neurons of every model that share a source


@pytest.fixture(autouse=True)
def chunk(monkeypatch):
    """Chunks of 256 units, so that a few thousand units make many."""
    monkeypatch.setattr(sketch, "CHUNK_UNITS", 256)


@functools.cache
def population(seed: int, neurons: int, units: int = UNITS, noise: float = 1.5) -> torch.Tensor:
    """Heavy-tailed activations in bursts of 50 units, a third of them sparse, with means and scales of every size.

    Populations of all seeds have the same sources, each of which drives FAMILY neurons.
    """
    shared, own = np.random.default_rng(0), np.random.default_rng([1, seed])
    families = -(-neurons // FAMILY)
    sources = shared.standard_t(4, (families, units))
    sources *= np.exp(shared.normal(0, 1, (families, -(-units // 50)))).repeat(50, 1)[:, :units]
    x = sources.repeat(FAMILY, 0)[:neurons]
    x += own.uniform(0.1, noise, (neurons, 1)) * own.standard_t(4, (neurons, units))
    x[::3] = np.maximum(x[::3], 0)
    x = (x + own.normal(0, 3, (neurons, 1))) * 10.0 ** own.uniform(-6, 3, (neurons, 1))
    return torch.tensor(x, dtype=torch.float32)


def sketched(folder, values: torch.Tensor, slots: int, pieces: int = 1) -> Sketch:
    write_sketch(MemorySource(values, sketch.CHUNK_UNITS), slots, folder, device=CPU, pieces=pieces)
    return Sketch(folder)


def estimates(a: Sketch, b: Sketch, dtype: torch.dtype = torch.float32) -> np.ndarray:
    total = torch.zeros(len(a.mean), len(b.mean))
    for x, y in zip(a.chunks(0, len(a.mean), dtype), b.chunks(0, len(b.mean), dtype), strict=True):
        add_products(total, x, y, dtype)
    return total.double().numpy()


# -- what a sketch estimates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chunk_units", "slots", "units"), [(256, 512, UNITS), (256, 1536, UNITS), (256, 8192, UNITS), (2048, 4096, 60_000)]
)
@pytest.mark.slow(0.1)
def test_estimates_are_unbiased_with_the_stated_variance(tmp_path, monkeypatch, chunk_units, slots, units):
    """Over 22,500 pairs; over the 450 of one family, where r is large, the error of the mean is some 0.1."""
    monkeypatch.setattr(sketch, "CHUNK_UNITS", chunk_units)
    a, b = population(1, 150, units, noise=0.3), population(2, 150, units, noise=0.3)
    first, second = sketched(tmp_path / "a", a, slots), sketched(tmp_path / "b", b, slots)
    r = oracle(a, b)
    assert first.file.shape[0] * chunk_units <= slots
    assert 0.7 / slots < first.variance() < 1.01 / slots
    error = (estimates(first, second) - r) / np.sqrt((1 + r**2) * first.variance())
    assert abs(error.mean()) < 0.05
    assert 0.95 < np.sqrt((error**2).mean()) < 1.05
    related = error[np.abs(r) > 0.7]
    assert len(related) > 150
    assert abs(related.mean()) < 0.35
    assert 0.8 < np.sqrt((related**2).mean()) < 1.2


def test_a_sketch_as_long_as_the_text_is_exact(tmp_path):
    a, b = population(1, 60, 5_000), population(2, 50, 5_000)
    first, second = sketched(tmp_path / "a", a, 5_120), sketched(tmp_path / "b", b, 10**6)
    assert first.folds == second.folds == 1
    assert first.variance() == second.variance() == 0
    for dtype in (torch.float32, torch.bfloat16):
        np.testing.assert_allclose(estimates(first, second, dtype), oracle(a, b), atol=2.0**-8)


def test_signs_are_fair_and_belong_to_the_chunk():
    every = torch.stack([signs(chunk) for chunk in range(400)])
    assert every.abs().eq(1).all()
    assert every.equal(torch.stack([signs(chunk) for chunk in range(400)])), "the same for every model"
    products = every @ every.T / 256  # of different chunks: mean 0, variance 1 / 256
    assert abs(every.mean()) < 4 / np.sqrt(every.numel())
    assert products.fill_diagonal_(0).abs().max() < 6 / 16
    assert abs(products.square().mean() * 256 - 1) < 0.1


def test_neighbouring_units_never_share_a_slot(tmp_path):
    """Bursts of 256 alike units, which would pile up in a slot, are told from their opposites."""
    burst = torch.zeros(3, UNITS)
    burst[0, 1000:1256] = burst[1, 1000:1128] = burst[2, 1128:1256] = 1
    found = sketched(tmp_path / "a", burst, 256)
    np.testing.assert_allclose(estimates(found, found), oracle(burst, burst), atol=0.1)


# -- moments and range -----------------------------------------------------------------------------------------------


def _first(x: torch.Tensor, factor: float, term: float = 0, units: int = 256) -> torch.Tensor:
    return torch.cat([x[:, :units] * factor + term, x[:, units:]], 1)


STRANGE = {
    "a mean of 1000 sd": lambda x: x + 1000,
    "tiny": lambda x: x * 1e-12,
    "huge": lambda x: x * 1e12,
    "tiny, with a mean": lambda x: (x + 1000) * 1e-12,
    "silent at first, then tiny": lambda x: _first(x, 0) * 1e-12,
    "silent at first, then huge": lambda x: _first(x, 0) * 1e12,
    "tiny at first": lambda x: _first(x, 1e-12),
    "small at first": lambda x: _first(x, 1e-3),
    "small midway": lambda x: _first(x, 1e-12, units=1500),
    "huge midway": lambda x: _first(x, 1e12, units=1500),
    "a burst at first": lambda x: _first(x, 1, 30),
    "ever larger": lambda x: x * torch.logspace(-12, 12, x.shape[1]),
    "a few of all kinds": lambda x: torch.cat([_first(x[:20], 1e-12), x[20:40] * 1e12, x[40:]]),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_means_and_scales_do_not_matter(tmp_path, kind):
    """Whether folded (5 chunks on one) or not; estimates of the two sides of a pair err independently of the scale."""
    x, y = (values / values.std(1, keepdim=True) for values in (population(1, 60, 5_000), population(2, 60, 5_000)))
    a = STRANGE[kind](x)
    r, values = oracle(a, y), a.double()
    for slots in (1024, 5_120):
        first, second = sketched(tmp_path / f"a{slots}", a, slots), sketched(tmp_path / f"b{slots}", y, slots)
        deviation = values - values.mean(1, keepdim=True)
        assert not first.constant.any()
        assert_close(first.mean / values.std(1), values.mean(1) / values.std(1), atol=1e-6, rtol=1e-6)
        assert_close(first.norm, deviation.norm(dim=1), atol=0, rtol=1e-5)
        error = (estimates(first, second) - r) / np.sqrt((1 + r**2) * first.variance() + 0.01**2)
        assert np.abs(error).max() < 10
        assert np.sqrt((error**2).mean()) < 1.2


@pytest.mark.parametrize("slots", [512, 8192])
def test_a_linear_change_of_activations_changes_no_estimate(tmp_path, slots):
    a, b = population(1, 40), population(2, 40)
    second = sketched(tmp_path / "b", b, slots)
    before = estimates(sketched(tmp_path / "a", a, slots), second)
    moved = ((a.double() + 10 * a.double().std(1, keepdim=True)) * 10.0 ** torch.linspace(-12, 12, 40)[:, None]).float()
    np.testing.assert_allclose(estimates(sketched(tmp_path / "moved", moved, slots), second), before, atol=2e-3)


def test_pieces_do_not_matter(tmp_path):
    source = MemorySource(population(1, 100), 256)
    for pieces in (1, 3):
        write_sketch(source, 2048, tmp_path / str(pieces), device=CPU, pieces=pieces)
    assert source.passes == 1 + 3
    names = sorted(file.name for file in (tmp_path / "1").iterdir())
    assert names == ["moments.safetensors", "sketch.safetensors", "summary.json"]
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes(), name


# -- candidates ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "limit"), [(1, 10), (3, 10), (3, 200)])
def test_candidates_hold_all_that_may_win_but_those_left_out(tmp_path, k, limit):
    first = sketched(tmp_path / "a", population(1, 90), 1024)
    second = sketched(tmp_path / "b", population(2, 120), 1024)
    found = find_candidates(
        first, second, tiles(90, 120, Tile(0, 50, 0, 50).bytes), Search(k, limit, CPU, torch.float32)
    )
    estimate = estimates(first, second)
    np.testing.assert_allclose(found.estimate, estimate[tuple(found.pairs)], atol=1e-6)
    code = found.pairs[0] * 120 + found.pairs[1]
    assert (code.diff() > 0).all(), "sorted, each pair once"
    chosen = np.zeros((90, 120), bool)
    chosen[tuple(found.pairs)] = True
    for values, mask, left_out in ((estimate, chosen, found.left_out_a), (estimate.T, chosen.T, found.left_out_b)):
        order = np.argsort(-values, 1)
        assert np.take_along_axis(mask, order[:, : k + 1], 1).all(), "the k best, and the next"
        assert (np.where(mask, -np.inf, values).max(1) <= left_out.numpy() + 1e-6).all()
        kth = torch.tensor(np.take_along_axis(values, order[:, k - 1 : k], 1))
        values = torch.tensor(values)
        highest = values + error_bound(values, found.variance, sketch.STANDARD_ERRORS)
        in_question = highest >= kth - error_bound(kth, found.variance, sketch.OVERESTIMATED)
        few = in_question.sum(1).numpy() <= limit
        assert mask[few][in_question.numpy()[few]].all()
    assert chosen.sum() <= limit * (90 + 120)


def test_candidates_are_written_and_read(tmp_path):
    first, second = (sketched(tmp_path / str(seed), population(seed, 20), 512) for seed in (1, 2))
    found = find_candidates(first, second, [Tile(0, 20, 0, 20)], Search(1, 5, CPU, torch.float32))
    found.write(tmp_path / "found.safetensors")
    again = Candidates.read(tmp_path / "found.safetensors")
    assert again.variance == found.variance
    for name, value in vars(found).items():
        if name != "variance":
            assert_close(getattr(again, name), value, atol=0, rtol=0)


def test_rescored_pairs_equal_the_oracle(tmp_path):
    """Means of 1000 sd and all; chunks of any length, since there are no slots to keep to."""
    rng = np.random.default_rng(0)
    values = {name: population(seed, 70) for seed, name in enumerate("abc")}
    values["b"] = values["b"] + 1000 * values["b"].std(1, keepdim=True)
    sketches = {name: sketched(tmp_path / name, x, 512) for name, x in values.items()}
    candidates = {}
    for pair in (("a", "b"), ("c", "a"), ("b", "c")):
        code = torch.tensor(np.sort(rng.choice(70 * 70, 500, replace=False)))
        nothing = torch.zeros(70)
        candidates[pair] = Candidates(torch.stack([code // 70, code % 70]), torch.zeros(500), nothing, nothing, 0.0)
    for length in (25, 256, 999):
        sources = {name: MemorySource(x, length) for name, x in values.items()}
        found = rescore(sources, sketches, candidates, device=CPU)
        assert [source.passes for source in sources.values()] == [1, 1, 1]
        for (a, b), r in found.items():
            assert r.dtype == torch.float64
            expected = oracle(values[a], values[b])[tuple(candidates[a, b].pairs)]
            np.testing.assert_allclose(r, expected, atol=1e-6)


class Killed(Exception):
    pass


class Fragile(MemorySource):
    """Memory whose reader is killed after so many chunks; `read` counts them."""

    def __init__(self, *arguments, lasts: int):
        super().__init__(*arguments)
        self.lasts, self.read = lasts, 0

    def chunks(self, *arguments, **more):
        for chunk in super().chunks(*arguments, **more):
            if self.read == self.lasts:
                raise Killed
            self.read += 1
            yield chunk


@pytest.mark.parametrize("lasts", [0, 7, 40, 63, 70])  # of 40 chunks a pass: in the first, between, in the second
def test_killed_passes_go_on_and_end_the_same(tmp_path, monkeypatch, lasts):
    monkeypatch.setattr("rosetta_scaling.numerics.running_sums.SAVE_SECONDS", 0)
    values = {name: population(seed, 60) for seed, name in enumerate("ab")}
    sketches = {name: sketched(tmp_path / name, x, 512) for name, x in values.items()}
    some = torch.arange(60).expand(2, -1)
    nothing = torch.full((60,), 0.9)  # so that hardly any neuron is certified, and needs a row
    candidates = {("a", "b"): Candidates(some, torch.zeros(60), nothing, nothing, 1e-4)}
    length = -(-values["a"].shape[1] // 40)
    expected = match_by_sketch(
        {n: MemorySource(x, length) for n, x in values.items()}, sketches, candidates, 1, device=CPU
    )
    sources = {name: Fragile(x, length, lasts=lasts) for name, x in values.items()}
    with pytest.raises(Killed):
        match_by_sketch(sources, sketches, candidates, 1, device=CPU, work_dir=tmp_path / "work")
    for source in sources.values():
        source.lasts = 10**6
    found = match_by_sketch(sources, sketches, candidates, 1, device=CPU, work_dir=tmp_path / "work")
    assert sources["a"].read <= 80 + 1, "no chunk was read twice but the one in hand"
    assert found["a", "b"][2] == expected["a", "b"][2]
    for mine, other in zip(found["a", "b"][:2], expected["a", "b"][:2], strict=True):
        assert mine.r.equal(other.r)
        assert mine.partner.equal(other.partner)


# -- matching --------------------------------------------------------------------------------------------------------


@functools.cache
def models(units: int = UNITS) -> dict[str, torch.Tensor]:
    sizes = (("x", (1, 120)), ("y", (2, 90)), ("z", (3, 105)))
    values = {name: population(*size, units).clone() for name, size in sizes}
    values["y"][5], values["z"][:2] = 0, 0.25  # constant neurons
    return values


def truth(values: dict[str, torch.Tensor]) -> dict[tuple[str, str], np.ndarray]:
    return {pair: oracle(*(values[name] for name in pair)) for pair in itertools.combinations(values, 2)}


@functools.cache
def truth_of_models() -> dict[tuple[str, str], np.ndarray]:
    return truth(models())


class Match:
    """All pairs of models, matched by sketches: what was found, and which neurons were not certified."""

    def __init__(self, folder, monkeypatch, slots, k, limit=20, side=10**4, dtype=torch.float32, values=None):
        self.k = k
        self.r = truth(values) if values else truth_of_models()
        self.values = values = values or models()
        self.sources = {name: MemorySource(x, 256) for name, x in values.items()}
        for name, source in self.sources.items():
            write_sketch(source, slots, folder / name, device=CPU)
        self.sketches = {name: Sketch(folder / name) for name in values}
        candidates = {}
        for a, b in self.r:
            cut = tiles(len(values[a]), len(values[b]), Tile(0, side, 0, side).bytes)
            candidates[a, b] = find_candidates(self.sketches[a], self.sketches[b], cut, Search(k, limit, CPU, dtype))
        self.passes_before = {name: source.passes for name, source in self.sources.items()}
        self.uncertain = {}
        real = rescoring.exact_rows

        def exact_rows(sources, sketches, rows, **more):
            self.uncertain = rows
            return real(sources, sketches, rows, **more)

        with monkeypatch.context() as patch:
            patch.setattr(rescoring, "exact_rows", exact_rows)
            self.found = match_by_sketch(self.sources, self.sketches, candidates, k, device=CPU)

    def assert_agrees(self) -> None:
        """Every neuron has its k best partners by the oracle, whether certified or not."""
        for (a, b), (best_a, best_b, _) in self.found.items():
            r = self.r[a, b]
            for best, rows, pair in ((best_a, r, (a, b)), (best_b, r.T, (b, a))):
                first = replace(best, r=best.r[:, : self.k], partner=best.partner[:, : self.k])
                assert_best(first, rows, 2e-6)
                after = -np.sort(-np.nan_to_num(rows, nan=-np.inf), 1)[:, self.k]
                assert (best.r[:, self.k].numpy() <= after + 2e-6).all(), "a margin is never too small"
                if pair in self.uncertain:
                    index = self.uncertain[pair]
                    np.testing.assert_allclose(best.r[index, self.k], after[index], atol=2e-6)

    def certified(self) -> list[float]:
        """Fractions of certified neurons of all models and pairs, as counted here."""
        fractions = []
        for (a, b), (_, _, report) in self.found.items():
            for side, pair in (("a", (a, b)), ("b", (b, a))):
                fraction = 1 - len(self.uncertain.get(pair, [])) / len(self.values[pair[0]])
                assert report[f"certified_{side}"] == pytest.approx(fraction)
                fractions.append(fraction)
        return fractions


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    ("slots", "limit", "side", "dtype", "least", "most"),
    [
        (256, 5, 10**4, torch.float32, 0.001, 0.1),
        (256, 20, 50, torch.bfloat16, 0.001, 0.1),
        (512, 20, 10**4, torch.float32, 0.05, 0.8),
        (1536, 20, 50, torch.float32, 0.75, 0.99),
        (8192, 20, 10**4, torch.bfloat16, 0.75, 0.99),
        (10**6, 20, 50, torch.float32, 0.99, 1),
    ],
)
def test_matches_are_those_of_the_oracle(tmp_path, monkeypatch, k, slots, limit, side, dtype, least, most):
    found = Match(tmp_path, monkeypatch, slots, k, limit, side, dtype)
    found.assert_agrees()
    certified = found.certified()
    assert least <= np.mean(certified) <= most, "few are certified by short sketches, most by long ones"
    for (a, b), (best_a, best_b, _) in found.found.items():
        r = np.nan_to_num(found.r[a, b], nan=-np.inf)
        top_a, top_b = np.argsort(-r, 1)[:, :k], np.argsort(-r.T, 1)[:, :k]
        expected = {(i, j) for i in range(len(r)) for j in top_a[i] if i in top_b[j] and r[i, j] > -np.inf}
        table = mutual_matches(best_a, best_b, k)
        assert set(zip(table.neuron_a, table.neuron_b, strict=True)) == expected


@pytest.mark.parametrize("slots", [512, 10**6])
def test_every_model_is_read_once_per_pass(tmp_path, monkeypatch, slots):
    """K models cost K passes to sketch, K to re-score and, if rows are left, K for those: not one per pair."""
    found = Match(tmp_path, monkeypatch, slots, 1)
    assert found.passes_before == {"x": 1, "y": 1, "z": 1}
    passes = {name: source.passes for name, source in found.sources.items()}
    assert passes == dict.fromkeys("xyz", 3 if found.uncertain else 2)


def test_a_forged_certificate_does_not_pass(tmp_path, monkeypatch):
    """When sketches are said not to err and nothing to be left out, wrong winners are certified, and it shows."""
    real = candidates_module._within_error

    def nothing_is_left_out(best, k, variance):
        chosen, left_out = real(best, k, variance)
        return chosen, torch.full_like(left_out, -torch.inf)

    monkeypatch.setattr(rescoring, "STANDARD_ERRORS", 0.0)
    Match(tmp_path / "few", monkeypatch, 512, 1).assert_agrees()  # what was seen to err is still believed
    monkeypatch.setattr(candidates_module, "_within_error", nothing_is_left_out)
    forged = Match(tmp_path / "forged", monkeypatch, 512, 1)
    assert min(forged.certified()) > 0.9
    with pytest.raises(AssertionError):
        forged.assert_agrees()


def test_an_error_larger_than_six_is_believed(tmp_path, monkeypatch):
    """Where a re-scored pair deviates more than the bound allows, the bound is widened and fewer are certified."""
    before = Match(tmp_path / "a", monkeypatch, 8192, 1)
    real = candidates_module.find_candidates

    def far_off(*arguments):
        found = real(*arguments)
        found.estimate[0] += 60 * found.variance**0.5
        return found

    monkeypatch.setitem(globals(), "find_candidates", far_off)
    after = Match(tmp_path / "b", monkeypatch, 8192, 1)
    after.assert_agrees()
    assert min(report["largest_error"] for _, _, report in after.found.values()) > 40
    assert max(after.certified()) < min(before.certified())


def test_constant_neurons_are_never_candidates(tmp_path, monkeypatch):
    values = models(5_000) | {"x": torch.cat([population(1, 3, 5_000), torch.full((30, 5_000), 0.1)])}
    found = Match(tmp_path, monkeypatch, 1024, 3, values=values)
    found.assert_agrees()
    assert found.sketches["x"].constant.tolist() == [False] * 3 + [True] * 30
    best_x, best_y, _ = found.found["x", "y"]
    assert best_x.constant.tolist() == [False] * 3 + [True] * 30
    assert (best_x.partner[3:] == -1).all()
    assert best_y.partner.max() == 2
    assert (best_y.partner[5] == -1).all()
    assert (best_y.partner[:, 3] == -1).all(), "there is no fourth"


def test_a_model_of_constant_neurons_has_no_partners(tmp_path, monkeypatch):
    values = {"x": population(1, 10, 5_000), "y": torch.ones(7, 5_000)}
    best_x, best_y, report = Match(tmp_path, monkeypatch, 1024, 2, values=values).found["x", "y"]
    assert (best_x.partner == -1).all()
    assert (best_y.partner == -1).all()
    assert best_y.constant.all()
    assert report["rescored"] == 0


def test_a_chunk_of_the_library_is_what_sources_give():
    """The tests above shorten it."""
    assert plan.CHUNK_UNITS == 2048
