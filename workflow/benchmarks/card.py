"""Measure a GPU: its ceilings first, then how near the engine, the forward pass and the statistics come to them.

Weights and activations are random; no data and no training are needed. Every figure is written to OUT/NAME-OF-CARD.json
as soon as it is known, so that what fails late costs nothing that came before.
"""

import functools
import importlib.util
import json
import logging
import platform
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.matching.correlation import match_tile
from rosetta_scaling.matching.products import add_products
from rosetta_scaling.matching.rounded import SUMMED, RoundedProducts, segment_maxima
from rosetta_scaling.matching.tiles import Tile, exact_flops
from rosetta_scaling.numerics import devices
from rosetta_scaling.numerics.rounded import RoundedMoments

log = logging.getLogger("bench")


class Sizes(NamedTuple):
    side: int  # of the product that gives the ceiling
    neurons: int
    units: int
    file_units: int
    sketched: int  # neurons
    slots: int
    layers: int
    hidden: int
    passages: int
    tokens: int  # of a passage
    batch: int


FULL = Sizes(16_384, 65_536, 131_072, 32_768, 32_768, 49_152, 24, 2048, 256, 1024, 32)
SMALL = Sizes(512, 700, 8192, 4096, 300, 4096, 2, 64, 16, 64, 4)


class Bench:
    """What has been measured so far, and the device."""

    def __init__(self, device: str, out: Path, sizes: Sizes):
        self.device, self.sizes = devices.prepare(device, torch.get_num_threads()), sizes
        if self.device.type == "cpu":  # to try it: the lines of a GPU on a processor
            devices.is_card = lambda device: True
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else platform.processor() or "processor"
        about = {"card": name, "device": self.device.type, "date": time.strftime("%Y-%m-%d")}
        about |= {"torch": torch.__version__, "triton": importlib.util.find_spec("triton") is not None}
        about |= {"sizes": sizes._asdict()}
        self.found: dict[str, Any] = about | {"seconds": 0.0, "figures": {}}
        out.mkdir(parents=True, exist_ok=True)
        self.file, self.began = out / f"{name.replace(' ', '-').replace('/', '-')}.json", time.monotonic()

    def record(self, name: str, **values: object) -> None:
        """Add to a figure, and write everything to the file."""
        self.found["figures"].setdefault(name, {}).update(values)
        self.found["seconds"] = round(time.monotonic() - self.began, 1)
        self.file.write_text(json.dumps(self.found, indent=1, default=str) + "\n")
        log.info("%6.1f s  %s: %s", self.found["seconds"], name, values)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def time(self, work: Callable[[], object], repeats: int = 3, warm: bool = True) -> float:
        """Seconds of one call, the best of some."""
        if warm:
            work()
        best = np.inf
        for _ in range(repeats):
            self.wait()
            began = time.perf_counter()
            work()
            self.wait()
            best = min(best, time.perf_counter() - began)
        return float(best)

    def get(self, name: str, key: str) -> float:
        return self.found["figures"].get(name, {}).get(key, float("nan"))


# -- ceilings --------------------------------------------------------------------------------------------------------


def ceilings(bench: Bench) -> None:
    """The card's fastest products and copies, of plain calls."""
    side, device = bench.sizes.side, bench.device
    flops = 2 * side**3
    total = torch.zeros(side, side, device=device)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        x = torch.randn(side, side, device=device).to(dtype)
        name = str(dtype).removeprefix("torch.")
        if dtype != torch.float32:
            spent = bench.time(functools.partial(torch.mm, x, x.T), 5)
            bench.record("ceilings", **{f"{name}_tflops": flops / spent / 1e12})
        spent = bench.time(functools.partial(add_products, total, x, x, dtype), 5 if dtype != torch.float32 else 1)
        bench.record("ceilings", **{f"{name}_in_place_float32_tflops": flops / spent / 1e12})
    copy = torch.empty_like(total)
    spent = bench.time(lambda: copy.copy_(total), 5)
    bench.record("ceilings", copy_tb_per_s=2 * total.numel() * 4 / spent / 1e12)
    if device.type == "cuda":
        one, eight = torch.ones((), device=device), x.to(torch.float8_e4m3fn)
        fast = {"scale_a": one, "scale_b": one, "out_dtype": torch.bfloat16, "use_fast_accum": True}
        spent = bench.time(functools.partial(torch._scaled_mm, eight, eight.T, **fast), 5)
        bench.record("ceilings", float8_tflops=flops / spent / 1e12)


def sixteen_bit(bench: Bench) -> float:
    """The ceiling that products of 16 bits are held against, in operations per second."""
    return 1e12 * bench.get("ceilings", "bfloat16_tflops")


# -- kernels against what they stand for -------------------------------------------------------------------------------


def kernels_are_right(bench: Bench) -> None:
    """Both kernels against their versions in torch."""
    generator = torch.Generator(bench.device).manual_seed(0)
    if not devices.runs_kernels(torch.empty(0, device=bench.device)):
        bench.record("kernels", there=False)
        return
    from rosetta_scaling.activations import kernels

    for dtype, terms in ((torch.bfloat16, 1), (torch.float32, 2)):
        differences: dict[str, float] = {}
        sides = [RoundedMoments(300, bench.device) for _ in range(2)]
        outs = torch.zeros(2, terms, 300, 2048, dtype=torch.float16, device=bench.device)
        for units in (2048, 777):
            values = torch.randn(300, units, generator=generator, device=bench.device)
            values[:50] += 100
            values[50] = 3.25
            values = values.to(dtype)
            sides[0].add(values, *outs[0, :, :, :units])
            sides[1]._add_whole(values, *outs[1, :, :, :units])
            sides[1].count += units
            differences[f"out_{units}"] = float((outs[0].float().sum(0) - outs[1].float().sum(0)).abs().max())
        for field in ("shift", "exponent", "scale", "sum", "squares", "lost"):
            one, other = (getattr(side, field).double() for side in sides)
            differences[field] = float(((one - other).abs() / other.abs().clamp(min=1e-9)).max())
        bench.record("kernels", **{f"round_rows_{dtype}".replace("torch.", ""): differences})
    rows = torch.randn(1000, 300, generator=generator, device=bench.device).bfloat16()
    begins = torch.cat([torch.arange(0, 900, 3), torch.tensor([900])]).to(bench.device)
    from rosetta_scaling.activations.pooling import Bags, means

    bags = Bags(torch.randperm(1000, device=bench.device)[:900], begins)
    out, wrong = (
        torch.zeros(300, 300, dtype=torch.bfloat16, device=bench.device),
        torch.zeros(1, device=bench.device).int(),
    )
    at = torch.randperm(300, device=bench.device)
    kernels.pool_rows(rows, bags, out, at, wrong=wrong)
    expected = means(rows, bags).bfloat16()
    rows[bags.places[0], 7] = torch.inf
    kernels.pool_rows(rows, bags, out.clone(), at, wrong=wrong)
    bench.record("kernels", pool_rows=float((out[at].float() - expected.float()).abs().max()), not_finite=int(wrong))


def statistics_are_right(bench: Bench) -> None:
    """The sums behind the metrics by kernels, against those in torch."""
    from rosetta_scaling.activations.statistics import LabelMatrix, LayerStatistics
    from rosetta_scaling.units.labels import label_units

    _, units = text(SMALL)
    labels, states = LabelMatrix(label_units(units, 50)), []
    values = torch.nn.functional.gelu(torch.randn(len(units), 300, device=bench.device)).bfloat16()
    for device in (bench.device, torch.device("cpu")):
        running = LayerStatistics([100, 200], labels, 5, device)
        for rows in values.to(device).split(200):
            running.update(rows)
        states.append(list(running.finish()))
    for one, other in zip(*states, strict=True):
        bench.record(
            "statistics are right",
            **{k: float((v - other[k]).double().abs().nan_to_num().max()) for k, v in one.items()},
        )


# -- the exact engine ------------------------------------------------------------------------------------------------


class Held:
    """A source (see activations/sources.py) whose chunks lie on the card."""

    def __init__(self, chunks: list[torch.Tensor], weights: str):
        self.held, self.weights, self.chunk = chunks, weights, chunks[0].shape[1]
        self.widths, self.units = [len(chunks[0])], sum(chunk.shape[1] for chunk in chunks)

    def chunks(self, start: int = 0, stop: int | None = None, first_chunk: int = 0) -> Iterator[torch.Tensor]:
        for chunk in self.held[first_chunk:]:
            yield chunk[start:stop]


def two_models(bench: Bench, neurons: int, units: int, device: torch.device | str) -> tuple[Held, Held]:
    """Activations as a nonlinearity gives them; half of the neurons of B are noisy copies of neurons of A."""
    random = torch.Generator(bench.device).manual_seed(1)
    order = torch.randperm(neurons, generator=random, device=bench.device)
    noise = torch.linspace(0.05, 3, neurons, device=bench.device)[:, None]
    noise[neurons // 2 :] = 1e3
    a, b = [], []
    for _ in range(units // CHUNK_UNITS):
        x, y = (torch.randn(neurons, CHUNK_UNITS, generator=random, device=bench.device) for _ in range(2))
        a.append(torch.nn.functional.gelu(x - 0.5).bfloat16().to(device))
        b.append(torch.nn.functional.gelu((x[order] + noise * y) / (1 + noise) - 0.5).bfloat16().to(device))
    return Held(a, "a"), Held(b, "b")


def engine(bench: Bench) -> None:
    """match_tile with activations on the card: its share of the ceiling, its steps, and how right it is."""
    neurons, units = bench.sizes.neurons, bench.sizes.units
    a, b = two_models(bench, neurons, units, bench.device)
    tile, flops = Tile(0, neurons, 0, neurons), exact_flops(neurons, neurons, units)
    few = [Held(source.held[:8], source.weights) for source in (a, b)]
    match_tile(*few, tile, 2, device=bench.device)  # warms up
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("rosetta_scaling.matching.settling").addHandler(handler)
    logging.getLogger("rosetta_scaling.matching.settling").setLevel(logging.INFO)
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    seconds = []
    for _ in range(2):
        found = None
        bench.wait()
        began = time.perf_counter()
        found = match_tile(a, b, tile, 2, device=bench.device)
        seconds.append(time.perf_counter() - began)
        bench.record(
            "match_tile", seconds=seconds, tflops=flops / min(seconds) / 1e12, rescored=told[-1:],
            share=flops / min(seconds) / sixteen_bit(bench), target="floor .75, goal .93",
        )  # fmt: skip
    if bench.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() - before
        bench.record("match_tile", peak_gb=peak / 1e9, planned_gb=tile.card_bytes / 1e9)
    _steps(bench, a, b, tile)
    _rightness(bench, a, b, found)


def _steps(bench: Bench, a: Held, b: Held, tile: Tile) -> None:
    """Milliseconds of the parts of match_tile."""
    products = RoundedProducts(tile.a1, tile.b1, CHUNK_UNITS, bench.device)
    products.add(a.held[0], b.held[0])
    x, y = (memory[0] for memory in products.memory)
    steps: dict[str, Callable[[], object]] = {
        "round a chunk of one model": lambda: products.a.add(a.held[1], x),
        "product of a chunk": lambda: add_products(products.total, x, y, torch.float16),
        "largest r of segments": lambda: segment_maxima(products.total, *products.sides()),
        "shortlists": lambda: products.draft(2),
    }
    found = {name: 1e3 * bench.time(work) for name, work in steps.items()}
    rate = exact_flops(tile.a1, tile.b1, CHUNK_UNITS) / found["product of a chunk"] * 1e3
    bench.record("steps of match_tile in ms", **found, share_of_the_product=rate / sixteen_bit(bench))


def sums_lose(bench: Bench) -> None:
    """What float32 sums lose of a neuron with itself, where all products have one sign, as a share of the bound."""
    random = torch.Generator(bench.device).manual_seed(2)
    count = min(4096, bench.sizes.neurons)
    for name, fading in (("evenly", 0.0), ("with the strongest first", 8.0)):
        size = torch.exp2(-fading * torch.linspace(0, 1, CHUNK_UNITS, device=bench.device))
        x = (size * torch.randn(count, CHUNK_UNITS, generator=random, device=bench.device)).half()
        total = torch.zeros(count, count, device=bench.device)
        add_products(total, x, x, torch.float16)
        exact = torch.cat([rows.double().square().sum(1) for rows in x.split(256)])
        lost = float(((total.diagonal().double() - exact).abs() / exact).max())
        bench.record("sums", **{f"lost {name}": lost, f"of the bound {name}": lost / SUMMED})


def _rightness(bench: Bench, a: Held, b: Held, found, sample: int = 256) -> None:
    """r of some neurons of A with all of B in float64, and what the engine says of them."""
    rows = torch.linspace(0, a.widths[0] - 1, min(sample, a.widths[0]), device=bench.device).long()
    kind = {"dtype": torch.float64, "device": bench.device}
    product = torch.zeros(len(rows), b.widths[0], **kind)
    sums, squares = [[torch.zeros(n, **kind) for n in (len(rows), b.widths[0])] for _ in range(2)]
    for x, y in zip(a.held, b.held, strict=True):
        both = x[rows].double(), y.double()
        product.addmm_(both[0], both[1].T)
        for total, square, values in zip(sums, squares, both, strict=True):
            total += values.sum(1)
            square += values.square().sum(1)
    covariance = product - sums[0][:, None] * sums[1] / a.units
    norms = [(square - total**2 / a.units).sqrt() for total, square in zip(sums, squares, strict=True)]
    r = covariance / norms[0][:, None] / norms[1]
    best = r.topk(3, dim=1)
    mine, theirs = found.a.r[rows.cpu()].double(), found.a.partner[rows.cpu()]
    expected = r.cpu().gather(1, theirs)
    differs = (theirs != best.indices[:, :2].cpu()).any(1)
    bench.record(
        "rightness", neurons=len(rows), largest_error_of_r=float((mine - expected).abs().max()),
        other_partners=int(differs.sum()), their_gap=float((best.values[:, :2].cpu() - expected).abs().max()),
        target="error .0005; all partners",
    )  # fmt: skip


# -- forward pass and statistics -------------------------------------------------------------------------------------


def network(bench: Bench):
    """A GPT-NeoX of 1.4 billion parameters, random, bfloat16."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    sizes = bench.sizes
    config = GPTNeoXConfig(
        vocab_size=50_304, hidden_size=sizes.hidden, num_hidden_layers=sizes.layers, intermediate_size=4 * sizes.hidden,
        num_attention_heads=sizes.hidden // 128 or 2, max_position_embeddings=2 * sizes.tokens,
    )  # fmt: skip
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with bench.device:
            return GPTNeoXForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)


def text(sizes: Sizes) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tokens and units: passages of equal length, units of one to three tokens."""
    rng, count = np.random.default_rng(0), sizes.passages * sizes.tokens
    passage = np.repeat(np.arange(sizes.passages), sizes.tokens)
    new = rng.random(count) < 0.5
    new[2:] |= ~(new[1:-1] | new[:-2])  # three tokens at most
    new[:: sizes.tokens] = True
    unit = np.cumsum(new) - 1
    position = np.tile(np.arange(sizes.tokens), sizes.passages)
    columns = {"passage": passage, "position": position, "token": rng.integers(0, 50_000, count), "unit": unit}
    first = np.flatnonzero(new)
    words = rng.zipf(1.5, len(first)) % 5000
    units = pd.DataFrame({"passage": passage[first], "doc": passage[first] // 4, "start": first})
    units = units.assign(end=np.append(first[1:], count), domain="d", text=[f"t{word}" for word in words])
    return pd.DataFrame(columns), units


def forward(bench: Bench) -> None:
    """Hooks and pooling, and all statistics, on top of the bare forward pass of transformers on the same batches."""
    from rosetta_scaling.activations.forward import ForwardPass, Reading
    from rosetta_scaling.activations.inputs.text import TextInputs

    model, sizes = network(bench), bench.sizes
    tokens, units = text(sizes)
    inputs = TextInputs(model, tokens, bench.device)
    source = ForwardPass(model, inputs, Reading(sizes.batch, "bfloat16", bench.device))
    bench.record("forward pass", parameters=sum(p.numel() for p in model.parameters()), masked=inputs.masked)

    def bare() -> None:
        with torch.inference_mode():
            for window in source.windows(0, source.units):
                for samples in window.batches:
                    model.base_model(**inputs.batch(samples).arguments)

    def pooled() -> None:
        for _ in source.rows():
            pass

    seconds = {"bare": bench.time(bare, 2), "pooled": bench.time(pooled, 2)}
    rates = {f"{name}_tokens_per_s": len(tokens) / spent for name, spent in seconds.items()}
    bench.record(
        "forward pass", **rates, pooling_on_top=seconds["pooled"] / seconds["bare"] - 1, target="floor .10, goal .04"
    )
    if bench.device.type == "cuda":
        bench.record("forward pass", **kernel_seconds(bench, pooled))

    def columns() -> None:
        for _ in source.chunks():
            pass

    spent = bench.time(columns, 1, warm=False)
    bench.record("forward pass", columns_tokens_per_s=len(tokens) / spent)
    statistics(bench, source, units, seconds["bare"])


def statistics(bench: Bench, source, units: pd.DataFrame, bare: float) -> None:
    """All sums behind the input-side metrics, in the same pass."""
    from rosetta_scaling.activations.statistics import LabelMatrix, LayerStatistics
    from rosetta_scaling.units.labels import label_units

    labels = LabelMatrix(label_units(units, 256))

    def measured() -> None:
        running = LayerStatistics(source.widths, labels, 20, bench.device)
        for rows in source.rows():
            running.update(rows)

    spent = bench.time(measured, 1)
    bench.record("forward pass", statistics_on_top=spent / bare - 1, statistics_target="floor 1.0, goal .35")
    if bench.device.type == "cuda":
        bench.record("statistics", **kernel_seconds(bench, measured))


def kernel_seconds(bench: Bench, work: Callable[[], object]) -> dict[str, object]:
    """The kernels that take most of the time of the device, in milliseconds."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        work()
        bench.wait()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_device_time_total)[:12]
    return {"kernels_ms": {e.key[:70]: [round(e.self_device_time_total / 1e3, 2), e.count] for e in events}}


# -- sketches, files -------------------------------------------------------------------------------------------------


def sketches(bench: Bench) -> None:
    """Candidates of two sketches."""
    from rosetta_scaling.matching.candidates import Search, find_candidates
    from rosetta_scaling.matching.neighbours import best_in_rows
    from rosetta_scaling.matching.sketch import Sketch, write_sketch

    neurons, units = bench.sizes.sketched, bench.sizes.slots * 2
    pair = two_models(bench, neurons, units, bench.device)
    with tempfile.TemporaryDirectory() as folder:
        spent = bench.time(
            lambda: write_sketch(pair[0], bench.sizes.slots, Path(folder) / "a", device=bench.device), 1, warm=False
        )
        write_sketch(pair[1], bench.sizes.slots, Path(folder) / "b", device=bench.device)
        bench.record("sketches", write_seconds=spent)
        began = time.perf_counter()
        a, b = (Sketch(Path(folder) / name) for name in "ab")
        bench.record("sketches", open_seconds=time.perf_counter() - began)
        search = Search(1, 128, bench.device, devices.sketch_dtype(bench.device))
        spent = bench.time(lambda: sum(1 for _ in a.chunks(0, neurons, search.dtype, bench.device)), 1)
        r = torch.randn(neurons, neurons, device=bench.device)
        ranked = bench.time(functools.partial(best_in_rows, r, 129, 0, a.constant), 1)
        bench.record("sketches", read_one_seconds=spent, rank_rows_seconds=ranked)
        del r
        tile = Tile(0, neurons, 0, neurons)
        spent = bench.time(lambda: find_candidates(a, b, [tile], search), 1)
        flops = exact_flops(neurons, neurons, bench.sizes.slots)
        bench.record("sketches", candidates_seconds=spent, share=flops / spent / sixteen_bit(bench), target="floor .5")


def files(bench: Bench) -> None:
    """match_tile with activations from files in the page cache."""
    from rosetta_scaling.activations.sources import StoredActivations
    from rosetta_scaling.store.tables import write_json
    from rosetta_scaling.store.tensors import TensorFile

    neurons, units = bench.sizes.neurons, bench.sizes.file_units
    pair = two_models(bench, neurons, units, "cpu")
    folder = Path(tempfile.mkdtemp())
    try:
        for source in pair:
            there = folder / source.weights
            (there / "layers").mkdir(parents=True)
            file = TensorFile.create(
                there / "layers/shard-0000.safetensors", (len(source.held), neurons, CHUNK_UNITS), "bfloat16"
            )
            for i, chunk in enumerate(source.held):
                file.write(i, 0, chunk)
            file.seal()
            write_json(there / "summary.json", {"neurons": [neurons], "units": units, "weights": source.weights})
        began = time.perf_counter()
        a, b = (StoredActivations(folder / source.weights) for source in pair)
        bench.record("files", checksum_seconds=time.perf_counter() - began)
        tile = Tile(0, neurons, 0, neurons)
        spent = bench.time(lambda: match_tile(a, b, tile, 2, device=bench.device), 1)
        flops = exact_flops(neurons, neurons, units)
        bench.record("files", seconds=spent, share=flops / spent / sixteen_bit(bench), target="floor .4, goal .8")
    finally:
        shutil.rmtree(folder)


FIGURES = (ceilings, kernels_are_right, sums_lose, engine, forward, statistics_are_right, sketches, files)


def measure(device: str, out: Path, *, small: bool, seconds: float) -> None:
    """Measure everything that can be begun within some seconds; an error is written in place of its figure."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    bench = Bench(device, out, SMALL if small else FULL)
    for figure in FIGURES:
        if time.monotonic() - bench.began > seconds:
            bench.record(figure.__name__, left_out=f"it would have begun after {seconds:.0f} s")
            continue
        try:
            figure(bench)
        except Exception:  # the next figure may well work
            bench.record(figure.__name__, error=traceback.format_exc()[-2000:])
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()
    print(json.dumps(bench.found, indent=1, default=str))
