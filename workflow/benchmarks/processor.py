"""Measure the matching engine on this machine: `make bench` writes results/bench/bench.{json, csv, svg, png}.

Two networks of 8,192 neurons are trained briefly, and everything is measured on their activations of real text. Times
are of one run on one machine; what counts are ratios within the run. What is not run whole says of what share it is.
"""

import functools
import itertools
import json
import logging
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import known_way
import numpy as np
import pandas as pd
import torch
from bench_figure import draw
from paper_scale import H100, Rates, costs

import rosetta_scaling.jobs  # noqa: F401  (which keeps transformers quiet)
from rosetta_scaling.activations.chunks import CHUNK_UNITS
from rosetta_scaling.activations.extract import Extraction, extract
from rosetta_scaling.activations.forward import ForwardPass, Reading
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.activations.sources import StoredActivations
from rosetta_scaling.config import parsing
from rosetta_scaling.config.activations import Activations
from rosetta_scaling.config.matching import Matching
from rosetta_scaling.layout.layout import Layout
from rosetta_scaling.matching.candidates import Search, find_candidates
from rosetta_scaling.matching.correlation import match_tile, merge_tiles
from rosetta_scaling.matching.neighbours import best_in_rows, mutual_matches
from rosetta_scaling.matching.rescoring import match_by_sketch, rescore
from rosetta_scaling.matching.sketch import Sketch, write_sketch
from rosetta_scaling.matching.tiles import Tile, exact_flops, tiles
from rosetta_scaling.networks.loading import load_model
from rosetta_scaling.numerics.devices import product_rate, sketch_dtype
from rosetta_scaling.numerics.moments import Moments
from rosetta_scaling.report.figures.style import save_figure
from rosetta_scaling.stages.corpus import corpus_key
from rosetta_scaling.store.tables import read_table, write_json

log = logging.getLogger("bench")
CPU = torch.device("cpu")
MODELS = ("neox-r3", "bloom-r3")
MANY = ("neox-r2", "neox2-r2", "neox3-r2", "neox4-r2", "neox5-r2")
PAIR_TOKENS = 100_000
EXACT_UNITS, SKETCH_UNITS = 65_536, 262_144
SLOTS = Matching().sketch_slots
SHARE = 512  # neurons of each model whose partners are also found exactly at SKETCH_UNITS
KNOWN_SHARE = 0.25  # of the text of a pair, and one block of layers of four: the known way is slow
OUT = Path("results/bench")


class Part:
    """A source (see activations/sources.py) of the first units, and of the first neurons, of another one."""

    def __init__(self, source, units: int, neurons: int | None = None):
        self.source, self.weights, self.chunk = source, source.weights, source.chunk
        self.widths = source.widths if neurons is None else [neurons]
        self.units = min(units, source.units)

    def chunks(self, start: int = 0, stop: int | None = None, first_chunk: int = 0):
        stop = sum(self.widths) if stop is None else stop
        chunks = enumerate(self.source.chunks(start, stop, first_chunk), first_chunk)
        for i, chunk in itertools.islice(chunks, -(-self.units // self.chunk) - first_chunk):
            yield chunk[:, : self.units - i * self.chunk]


class Bench:
    """The materials, the scratch folder, and what has been measured so far."""

    def __init__(self, scratch: Path):
        self.scratch, self.layout, self.rows, self.keys = scratch, prepare(), [], {}
        self.units = read_table(self.layout.units("study"))
        self.tokens = {model: read_table(self.layout.tokens("study", model)) for model in MODELS}
        self.networks = {model: load_model(self.layout.checkpoint(model), CPU) for model in MODELS}
        self.rate = product_rate(CPU, side=4096)
        log.info("float32 products: %.0f GFLOP/s on %d threads", self.rate / 1e9, torch.get_num_threads())

    def record(self, case: str, engine: str, x: float, seconds: float, **more) -> None:
        self.rows.append({"case": case, "engine": engine, "x": x, "seconds": seconds} | more)
        log.info("%s, %s, %s: %.1f s %s", case, engine, f"{x:,}", seconds, more or "")

    def fit(self, case: str) -> None:
        """The exponent of time against what a case varies, of both engines."""
        for engine in ("exact", "sketch"):
            points = [(row["x"], row["seconds"]) for row in self.rows if (row["case"], row["engine"]) == (case, engine)]
            self.keys[f"{engine}_{case}_exponent"] = slope(*zip(*points, strict=True))

    def forward(self, model: str, tokens: pd.DataFrame) -> ForwardPass:
        return forward_pass(self.networks[model], tokens, model)

    def store(self, model: str, tokens: pd.DataFrame, units: pd.DataFrame, name: str) -> StoredActivations:
        out = self.scratch / name / model
        job = Extraction(model, Activations(), model, out, out / "work", measure=False)
        extract(job, self.networks[model], tokens, units, device=CPU)
        os.sync()  # what is still being written would disturb what is measured next
        return StoredActivations(out)


def forward_pass(network: torch.nn.Module, tokens: pd.DataFrame, weights: str) -> ForwardPass:
    return ForwardPass(network, TextInputs(network, tokens, CPU), Reading(32, "bfloat16", CPU), weights=weights)


def prepare() -> Layout:
    """Text and networks, made by the workflow itself and kept in the cache of the project."""
    study = "workflow/studies/bench.yaml"
    settings = parsing.load(study)
    layout = Layout(settings, corpus_key(settings))
    targets = [layout.units("study")]
    for model in MODELS + MANY:
        targets += [layout.checkpoint_manifest(model), layout.tokens("study", model)]
    command = [sys.executable, "-m", "snakemake", *targets, "--workflow-profile", "workflow/profiles/default"]
    subprocess.run([*command, "--configfile", study, "--quiet", "all"], check=True)
    return layout


def timed(work) -> tuple[float, object]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def slope(x, y) -> float:
    """Exponent of a power law through measurements."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


# -- the engines, as the jobs run them -------------------------------------------------------------------------------


def exact(a, b):
    sizes = [sum(source.widths) for source in (a, b)]
    parts = tiles(*sizes, 1500 * 10**6)
    found = [(tile, *match_tile(a, b, tile, 2)) for tile in parts]
    return merge_tiles(Tile(0, sizes[0], 0, sizes[1]), found, 2)


def by_sketch(sources: dict, folder: Path, slots: int = SLOTS):
    """All pairs of several models; returns matches, the seconds of each step, and the certificates."""
    seconds = {}
    shutil.rmtree(folder, ignore_errors=True)

    def sketch_all():
        for name, source in sources.items():
            write_sketch(source, slots, folder / name, device=CPU)
        return {name: Sketch(folder / name) for name in sources}

    seconds["sketch"], sketches = timed(sketch_all)

    def all_candidates():
        dtype = sketch_dtype(CPU)
        found = {}
        for a, b in itertools.combinations(sources, 2):
            parts = tiles(sum(sources[a].widths), sum(sources[b].widths), 1500 * 10**6)
            found[a, b] = find_candidates(sketches[a], sketches[b], parts, Search(1, 128, CPU, dtype))
        return found

    seconds["candidates"], candidates = timed(all_candidates)
    seconds["re-scoring"], found = timed(lambda: match_by_sketch(sources, sketches, candidates, 1, device=CPU))
    return found, seconds, candidates, sketches


def same(first, second) -> float:
    """Share of matches of two results that both have."""
    pairs = [
        set(zip(t.neuron_a, t.neuron_b, strict=True)) for t in (mutual_matches(*first, 1), mutual_matches(*second, 1))
    ]
    return len(pairs[0] & pairs[1]) / len(pairs[0] | pairs[1])


# -- the cases -------------------------------------------------------------------------------------------------------


def forward_overhead(bench: Bench) -> None:
    """Hooks, pooling and moments over the bare forward pass of transformers on the same batches."""
    ratios = []
    for model in MODELS:
        tokens = bench.tokens[model][bench.tokens[model].passage < 256]
        source = bench.forward(model, tokens)

        def bare(source=source):
            with torch.inference_mode():
                for window in source.windows(0, source.units):
                    for passages in window.batches:
                        source.model(**source.inputs.batch(passages).arguments)

        out = torch.empty(sum(source.widths), CHUNK_UNITS)

        def ours(source=source, out=out):
            moments = Moments(sum(source.widths))
            for chunk in source.chunks():
                moments.add(chunk, out[:, : chunk.shape[1]])

        seconds = {name: [] for name in ("bare", "ours")}
        for _ in range(3):
            for name, work in (("bare", bare), ("ours", ours)):
                seconds[name].append(timed(work)[0])
        best = {name: float(np.median(times[1:])) for name, times in seconds.items()}  # the first warms up
        ratios.append(best["ours"] / best["bare"] - 1)
        for name, value in best.items():
            bench.record(f"forward pass of {model}", name, len(tokens), value, tokens_per_second=len(tokens) / value)
    bench.keys["forward_overhead"] = max(ratios)
    bench.forward_rate = (
        2
        * sum(p.numel() for p in bench.networks[MODELS[0]].parameters())
        * (next(row["tokens_per_second"] for row in bench.rows if row["engine"] == "ours"))
    )


def whole_pair(bench: Bench) -> None:
    """Two networks and 100,000 tokens, forward passes included: the known way, exact in one pass, and by sketches."""
    last = int(bench.tokens[MODELS[0]].passage.iloc[PAIR_TOKENS])
    tokens = {model: table[table.passage < last] for model, table in bench.tokens.items()}
    units = bench.units[bench.units.passage < last]
    a, b = (bench.forward(model, tokens[model]) for model in MODELS)
    statistics = known_way.statistics_seconds(a, b, KNOWN_SHARE) / KNOWN_SHARE
    block = known_way.block_seconds(a, b, range(2), KNOWN_SHARE) / KNOWN_SHARE
    blocks = -(-len(b.widths) // 2)
    known = statistics + blocks * block
    bench.record("pair", "known way", PAIR_TOKENS, known, share=KNOWN_SHARE / blocks)
    seconds, exactly = timed(lambda: exact(a, b))
    bench.record("pair", "exact", PAIR_TOKENS, seconds)
    bench.keys["pair_speedup_exact"] = known / seconds
    storing, sources = timed(lambda: {m: bench.store(m, tokens[m], units, "pair") for m in MODELS})
    found, steps, _, _ = by_sketch(sources, bench.scratch / "pair-sketch")
    bench.record("pair", "sketch", PAIR_TOKENS, storing + sum(steps.values()), forward=storing, **steps)
    bench.keys["pair_speedup_sketch"] = known / (storing + sum(steps.values()))
    seconds, oracle = timed(lambda: float64_oracle(*sources.values()))
    bench.record("pair", "float64 oracle", PAIR_TOKENS, seconds)
    bench.keys["pair_matches"] = len(mutual_matches(*oracle, 1))
    bench.keys["pair_agreement_exact"] = same(exactly, oracle)
    bench.keys["pair_agreement_sketch"] = same(found[MODELS][:2], oracle)


def float64_oracle(a, b):
    """All correlations in float64, by the textbook formula, and their best partners."""
    sums = [torch.zeros(sum(source.widths), dtype=torch.float64) for source in (a, b)]
    for source, total in zip((a, b), sums, strict=True):
        for chunk in source.chunks():
            total += chunk.double().sum(1)
    means = [total[:, None] / a.units for total in sums]
    product = torch.zeros(len(sums[0]), len(sums[1]), dtype=torch.float64)
    squares = [torch.zeros_like(total) for total in sums]
    for chunks in zip(a.chunks(), b.chunks(), strict=True):
        x, y = (chunk.double() - mean for chunk, mean in zip(chunks, means, strict=True))
        product.addmm_(x, y.T)
        squares = [total + values.square().sum(1) for total, values in zip(squares, (x, y), strict=True)]
    r = (product / squares[0].sqrt()[:, None] / squares[1].sqrt()).float()
    return tuple(best_in_rows(m, 2, 0, torch.zeros(len(m), dtype=torch.bool)) for m in (r, r.T))


def engines(bench: Bench) -> None:
    """Exact and sketch on stored activations: efficiency, time against units and neurons, certificates, agreement."""
    tokens = bench.tokens
    sources = {model: bench.store(model, tokens[model], bench.units, "whole") for model in MODELS}
    size = sum(sources[MODELS[0]].widths)
    for source in sources.values():  # "activations given": from memory, not from the disk
        sum(int(chunk[:, ::16].isnan().sum()) for chunk in source.chunks())
    seconds = {}
    for units in (EXACT_UNITS // 4, EXACT_UNITS):
        seconds[units], exactly = timed(lambda units=units: exact(*(Part(s, units) for s in sources.values())))
        bench.record("units", "exact", units, seconds[units])
    bench.rate = max(bench.rate, product_rate(CPU, side=4096))
    bench.keys["gemm_gflops"] = bench.rate / 1e9
    bench.keys["gemm_efficiency"] = exact_flops(size, size, EXACT_UNITS) / seconds[EXACT_UNITS] / bench.rate
    whole = seconds[EXACT_UNITS] * SKETCH_UNITS / EXACT_UNITS
    bench.record("units", "exact", SKETCH_UNITS, whole, share=EXACT_UNITS / SKETCH_UNITS)
    times = {}
    for units in (EXACT_UNITS, SKETCH_UNITS):
        parts = {model: Part(source, units) for model, source in sources.items()}
        found, steps, candidates, sketches = by_sketch(parts, bench.scratch / "sketch")
        times[units] = sum(steps.values())
        bench.record("units", "sketch", units, times[units], **steps)
        if units == EXACT_UNITS:
            agreement = [agreement_of(mine, theirs) for mine, theirs in zip(found[MODELS], exactly, strict=False)]
    by_a, by_b, report = found[MODELS]
    rows = range(size // 2 - SHARE // 2, size // 2 + SHARE // 2)  # some neurons of both, across layers
    a, b = (Part(source, SKETCH_UNITS) for source in sources.values())
    best_a, _ = match_tile(a, b, Tile(rows[0], rows[-1] + 1, 0, size), 2)
    _, best_b = match_tile(a, b, Tile(0, size, rows[0], rows[-1] + 1), 2)
    agreement += [agreement_of(by_a, best_a, rows), agreement_of(by_b, best_b, rows)]
    bench.keys["sketch_agreement"] = min(agreement)
    bench.keys["sketch_speedup"] = whole / times[SKETCH_UNITS]
    bench.fit("units")
    bench.keys["sketch_certified_share"] = (report["certified_a"] + report["certified_b"]) / 2
    bench.keys["sketch_largest_error"] = report["largest_error"]
    bench.keys["sketch_candidates_per_neuron"] = report["rescored"] / (2 * size)
    spent, _ = timed(
        lambda: rescore({m: Part(s, 16_384) for m, s in sources.items()}, sketches, candidates, device=CPU)
    )
    bench.pair_rate = report["rescored"] * 16_384 / spent
    for neurons in (2048, 4096):
        parts = {model: Part(source, EXACT_UNITS, neurons) for model, source in sources.items()}
        spent, _ = timed(lambda parts=parts: exact(*parts.values()))
        bench.record("neurons", "exact", neurons, spent)
        steps = by_sketch(parts, bench.scratch / "sketch")[1]
        bench.record("neurons", "sketch", neurons, sum(steps.values()), **steps)
    bench.record("neurons", "exact", size, seconds[EXACT_UNITS])
    bench.record("neurons", "sketch", size, times[EXACT_UNITS])
    bench.fit("neurons")


def agreement_of(by_sketches, exactly, rows: range | None = None) -> float:
    """Share of neurons whose best partner, and its r, are those of the exact engine."""
    rows = rows or range(len(exactly.r))
    mine = slice(rows[0], rows[-1] + 1)
    close = (by_sketches.r[mine, 0] - exactly.r[:, 0]).abs() < 1e-5
    return float(((by_sketches.partner[mine, 0] == exactly.partner[:, 0]) & close).double().mean())


def memory(bench: Bench) -> None:
    """Peak memory of a process that matches stored activations under a budget, whatever the number of neurons."""
    over = []
    tokens = {model: table[table.passage < 100] for model, table in bench.tokens.items()}
    for model in MODELS:
        bench.store(model, tokens[model], bench.units[bench.units.passage < 100], "short")
    for neurons, budget in ((1024, 200), (2048, 200), (4096, 200), (8192, 200), (8192, 600)):
        folders = [str(bench.scratch / "short" / model) for model in MODELS]
        command = [sys.executable, str(Path(__file__).with_name("peak_memory.py")), *folders, str(neurons), str(budget)]
        done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        bench.record("memory", "exact", neurons, done["seconds"], budget_mb=budget, peak_mb=done["peak_mb"])
        over.append(done["peak_mb"] - budget)
    bench.keys["peak_over_budget_mb"] = max(over)


def many_models(bench: Bench) -> None:
    """All pairs of K networks, activations computed anew in every pass: forward passes grow as K, not as K(K - 1)."""
    tokens = {model: read_table(bench.layout.tokens("study", model)) for model in MANY}
    tokens = {model: table[table.passage < 384] for model, table in tokens.items()}
    networks = {model: load_model(bench.layout.checkpoint(model), CPU) for model in MANY}
    read, spent, count = {}, {}, {}
    for k in (2, *range(2, len(MANY) + 1)):  # the first warms up
        sources = {m: forward_pass(networks[m], tokens[m], m) for m in MANY[:k]}
        clock = {"seconds": 0.0, "tokens": 0}
        for source in sources.values():
            source.model.forward = functools.partial(_clocked, type(source.model).forward, source.model, clock)
        spent[k], _ = timed(lambda sources=sources: by_sketch(sources, bench.scratch / "many", SLOTS // 8))
        read[k], count[k] = clock["seconds"], clock["tokens"] / len(tokens[MANY[0]])
    pairs = {
        pair: timed(lambda pair=pair: exact(*(sources[m] for m in pair)))[0] for pair in itertools.combinations(MANY, 2)
    }
    for k in spent:
        bench.record("models", "sketch", k, spent[k], forward_seconds=read[k], forward_passes=count[k])
        bench.record("models", "exact", k, sum(pairs[pair] for pair in itertools.combinations(MANY[:k], 2)))
    bench.fit("models")
    bench.keys["passes_exponent"] = slope(list(read), list(read.values()))
    bench.keys["passes_per_model"] = max(count[k] / k for k in count)


def _clocked(forward, model, clock, *arguments, input_ids, **more):
    """A forward pass that is timed even when it is ended from within."""
    began = time.perf_counter()
    try:
        return forward(model, *arguments, input_ids=input_ids, **more)
    finally:
        clock["seconds"] += time.perf_counter() - began
        clock["tokens"] += int(input_ids.numel())


def paper_scale(bench: Bench) -> pd.DataFrame:
    """The paper's pairs, calculated from the rates measured here and from those of a GPU."""
    here = Rates("this machine (measured)", bench.forward_rate, bench.rate, bench.pair_rate)
    uncertified = 1 - bench.keys["sketch_certified_share"]
    table = pd.concat(costs(rates, bench.keys["sketch_candidates_per_neuron"], uncertified) for rates in (here, H100))
    largest = table[(table.pair == "Pythia-12B / OPT-13B") & (table.device == H100.name)]
    bench.keys["paper_scale_ratio"] = float(largest.ratio.iloc[0])
    return table


def selectivity_overhead(bench: Bench) -> None:
    """All input-side metrics in the pass that stores activations, against that pass without them; best of three."""
    model, best = MODELS[0], {True: math.inf, False: math.inf}
    tokens, units = (table[table.passage < 1536] for table in (bench.tokens[model], bench.units))
    for measure in (False, True) * 3:
        out = bench.scratch / "measured"
        job = Extraction(model, Activations(), model, out, out / "w", measure=measure)
        spent, _ = timed(functools.partial(extract, job, bench.networks[model], tokens, units, device=CPU))
        best[measure] = min(best[measure], spent)
        shutil.rmtree(out)
        os.sync()
    bench.record("selectivity", "without", len(units), best[False])
    bench.record("selectivity", "with", len(units), best[True])
    bench.keys["selectivity_overhead"] = best[True] / best[False] - 1


def main() -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("rosetta_scaling").setLevel(logging.WARNING)
    began = time.monotonic()
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUT, prefix=".scratch-") as scratch:
        bench = Bench(Path(scratch))
        log.info("materials are ready after %.0f s", time.monotonic() - began)
        for case in (forward_overhead, selectivity_overhead, whole_pair, engines, memory, many_models):
            spent, _ = timed(functools.partial(case, bench))
            log.info("-- %s took %.0f s", case.__name__, spent)
        paper = paper_scale(bench)
    bench.keys |= {"machine": f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"}
    bench.keys |= {"torch": torch.__version__, "seconds": time.monotonic() - began}
    keys = {name: round(value, 4) if isinstance(value, float) else value for name, value in bench.keys.items()}
    if not all(math.isfinite(value) for value in keys.values() if isinstance(value, float)):
        raise SystemExit(f"a figure is not finite: {keys}")
    write_json(OUT / "bench.json", keys)
    table = pd.DataFrame(bench.rows)
    save_figure(draw(table, paper, keys), table, OUT / "bench")
    paper.to_csv(OUT / "paper_scale.csv", index=False)
    print(table.to_string(index=False, na_rep=""), paper.to_string(index=False), json.dumps(keys, indent=1), sep="\n\n")
