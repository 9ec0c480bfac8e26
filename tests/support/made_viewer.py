"""Made-up networks for the viewer: small ones that fire on words, and large ones of which only the size is real."""

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.corpora.pixels import encode
from rosetta_scaling.matching.neighbours import best_in_rows, partner_table
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.selectivity import KINDS, OF_IMAGES, OF_TEXT, columns_of_neurons
from rosetta_scaling.stages.viewer import write_page
from rosetta_scaling.viewer.examples import (
    BINS,
    EXAMPLES,
    WINDOW,
    Scale,
    Windows,
    example_units,
    sample_units,
)
from rosetta_scaling.viewer.neurons import PairEvidence, neuron_table
from rosetta_scaling.viewer.page import Network
from rosetta_scaling.viewer.shards import TOKENS, Details, Tokens
from rosetta_scaling.viewer.words import index_words

WORDS = [
    "river",
    "stone",
    " and",
    "the ",
    "Łódź",
    "\n",
    "<b>",
    '"',
    "12",
    "sea",
    "snow",
    "of",
    "wind",
    "fire",
    "a",
    "owl",
]
NAMES = ("red-r1", "blue-r1")


IMAGES, SIDE = 50, 4  # made-up images, and patches along a side of them


def units_table(units: int, rng: np.random.Generator) -> pd.DataFrame:
    """Random words in passages of 20 and documents of 40."""
    text, number = rng.choice(WORDS, units), np.arange(units)
    columns = {"unit": number, "passage": number // 20, "start": 0, "end": 1, "text": text, "doc": number // 40}
    return pd.DataFrame(columns).assign(domain=np.where(number // 40 % 2, "prose", "code"))


def patches_table(rng: np.random.Generator) -> pd.DataFrame:
    """The same words, as if they had been drawn in the patches of images."""
    table, number = units_table(IMAGES * SIDE**2, rng), np.arange(IMAGES * SIDE**2)
    places = {"passage": number // SIDE**2, "row": number // SIDE % SIDE, "column": number % SIDE}
    return table.assign(**places, doc=places["passage"])


def made_images() -> pd.Series:
    """The files of small images and, every third, of large ones."""
    rng = np.random.default_rng(6)
    sides = [8 if i % 3 else 200 for i in range(IMAGES)]
    return pd.Series([encode(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)) for side in sides])


def selectivity_table(mean: np.ndarray, variance: np.ndarray, layers: int, rng: np.random.Generator) -> pd.DataFrame:
    """A table of neurons with the mean and variance that are given, and made-up metrics."""
    neurons = len(mean)
    columns = {}
    for column in columns_of_neurons():
        name = column.name.replace("DOMAIN", "code")
        if name in (*OF_IMAGES, "factor", "one_factor"):
            continue
        columns[name] = rng.lognormal(size=neurons) if column.kind == "number" else 0
    width = neurons // layers
    columns |= {"layer": np.arange(neurons) // width, "channel": np.arange(neurons) % width}
    columns |= {"mean": mean, "variance": variance, "mean_prose": rng.lognormal(size=neurons)}
    columns |= {name: (rng.random(neurons) < 0.1).astype(float) for name in KINDS if name != "one_factor"}
    return pd.DataFrame(columns | {"unigram_text": rng.choice(WORDS, neurons)})


def activations(units: pd.DataFrame, neurons: int, noise: float, rng: np.random.Generator) -> torch.Tensor:
    """(neurons, units): neuron j fires on the jth word, and all are noisy; the last one is constant."""
    words = np.array([WORDS[j % len(WORDS)] for j in range(neurons)])
    values = (units.text.to_numpy() == words[:, None]) * 2.0 + noise * rng.normal(size=(neurons, len(units)))
    values[-1] = 1.0
    return torch.from_numpy(values.astype(np.float32)).bfloat16()


def partners(a: torch.Tensor, b: torch.Tensor, k: int = 3) -> pd.DataFrame:
    """The table of partners of two networks."""
    with np.errstate(invalid="ignore"):
        r = np.nan_to_num(np.corrcoef(a.float(), b.float())[: len(a), len(a) :], nan=-np.inf)
    constant = [torch.from_numpy(np.isinf(r).all(axis)) for axis in (1, 0)]
    sides = [
        best_in_rows(torch.from_numpy(m.astype(np.float32)), k, 0, c) for m, c in zip((r, r.T), constant, strict=True)
    ]
    return partner_table(*sides, k)


def evidence(a: torch.Tensor, b: torch.Tensor, rng: np.random.Generator) -> PairEvidence:
    """Matches of two networks, draws of all nulls with one network shuffled, and the halves of the units."""
    matches = partners(a, b)
    best = (matches.rank_a == 1) & (matches.rank_b == 1)
    matches = matches.assign(excess_a=matches.r - 0.1, q_a=np.where(best, np.where(matches.r > 0.5, 0.01, 0.8), np.nan))
    draws = [partners(a, b[:, torch.from_numpy(rng.permutation(b.shape[1]))]).assign(draw=draw) for draw in (0, 1)]
    nulls = {name: pd.concat(draws).assign(changed="both" if name == "untrained" else "b") for name in NULLS}
    half = b.shape[1] // 2
    halves = [
        partners(a[:, part], b[:, part]).assign(draw=draw) for draw, part in enumerate((slice(half), slice(half, None)))
    ]
    return PairEvidence(matches, nulls, pd.concat(halves).assign(heldout_r=lambda table: table.r - 0.01))


def small_networks(units: pd.DataFrame, rng: np.random.Generator) -> list[Network]:
    """Two networks of 2 layers: the first has 12 neurons of its own, and 16 that the second has in reversed order."""
    shared = activations(units, 16, 0.3, rng)
    values = [torch.cat([activations(units, 12, 3.0, rng), shared]), shared.flip(0) + activations(units, 16, 0.2, rng)]
    about = [
        selectivity_table(v.float().mean(1).numpy(), v.float().var(1, correction=0).numpy(), 2, rng) for v in values
    ]
    made = []
    for own, other in ((0, 1), (1, 0)):
        found = evidence(values[own], values[other], rng)
        labels = pd.Series({1: 'fires on "stone", I think'}) if own == 0 else None
        sets = {"red-blue": pd.DataFrame({"mutual_top1": np.arange(len(about[0])) % 3 == 0})} if own == 0 else {}
        table = neuron_table(about[own], {NAMES[other]: found}, sets, labels)
        scales = [Scale.of(one) for one in about]
        sampled = sample_units(in_chunks(values[own]), scales[own], len(units), [own])
        contexts = strongest(values[own], units.doc.to_numpy() // 2 % 2)
        patches = SIDE**2 if "row" in units else None
        windows = Windows(examples := example_units(contexts, sampled), units.passage.to_numpy(), patches)
        partner = table[f"partner.{NAMES[other]}"].to_numpy()
        codes = [
            windows.read(in_chunks(values[own]), scales[own], np.arange(len(table))),
            windows.read(in_chunks(values[other]), scales[other], partner),
        ]
        promoted = made_tokens(0 if patches else len(table), rng)  # networks that see promote none
        details = Details(table, examples, codes, sampled.histogram, Tokens.of(promoted, len(table)))
        fires = index_words(contexts.neuron.to_numpy(), units.text.iloc[contexts.unit])
        promotes = index_words(promoted.neuron.to_numpy(), promoted.text)
        links = {NAMES[other]: f"study/{NAMES[other]}"}
        made.append(Network(f"study/{NAMES[own]}", NAMES[own], links, details, fires, promotes))
    return made


def in_chunks(values: torch.Tensor, chunk: int = 128) -> list[torch.Tensor]:
    return list(values.split(chunk, dim=1))


def strongest(values: torch.Tensor, half: np.ndarray, top: int = 8) -> pd.DataFrame:
    """Contexts: the strongest units of every neuron in either half."""
    tables = []
    for part in (0, 1):
        units = np.flatnonzero(half == part)
        order = np.argsort(-values[:, units].float().numpy(), 1, kind="stable")[:, :top]
        neuron, rank = np.indices(order.shape).reshape(2, -1)
        table = {"neuron": neuron, "half": part, "rank": rank, "unit": units[order].ravel()}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def made_tokens(neurons: int, rng: np.random.Generator) -> pd.DataFrame:
    """Promoted and suppressed tokens of all neurons."""
    neuron, side, rank = np.indices((neurons, 2, TOKENS)).reshape(3, -1)
    columns = {"neuron": neuron, "side": np.where(side == 1, "suppressed", "promoted"), "rank": rank + 1}
    return pd.DataFrame(columns).assign(cosine=rng.uniform(0, 0.5, len(neuron)), text=rng.choice(WORDS, len(neuron)))


def large_networks(neurons: int, units: pd.DataFrame, rng: np.random.Generator) -> Iterator[Network]:
    """Two networks of 32 layers whose numbers are made up, with as much spread as measured ones have."""
    for own, other in ((0, 1), (1, 0)):
        table = neuron_table(selectivity_table(*rng.lognormal(size=(2, neurons)), 32, rng), {}, {})
        measured = {name: rng.beta(2, 5, neurons) for name in ("r", "margin", "excess", "null", "heldout_r", "q")}
        measured |= {f"{name}{suffix}": rng.beta(2, 8, neurons) for name in NULLS for suffix in ("", "_largest")}
        found = pd.DataFrame(measured).assign(
            partner=rng.permutation(neurons), mutual=rng.random(neurons) < 0.5, refound=rng.integers(0, 3, neurons)
        )
        table = pd.concat([table, found.add_suffix(f".{NAMES[other]}")], axis=1)
        table = table.assign(mutual=found.mutual.astype(int), matched=(found.mutual & (found.q < 0.2)).astype(int))
        examples = rng.integers(0, len(units), (neurons, EXAMPLES)).astype(np.int32)
        spread = (neurons, EXAMPLES, WINDOW)
        codes = [np.clip(rng.normal(0, 14, spread), -127, 127).astype(np.int8) for _ in range(2)]
        histogram = np.round(
            4096 * np.exp(-((np.arange(BINS) - 30) ** 2) / 20) * rng.lognormal(size=(neurons, 1))
        ).astype(int)
        shape = (neurons, 2, TOKENS)
        tokens = Tokens([f"token{i}" for i in range(50_000)], rng.integers(0, 50_000, shape), rng.uniform(0, 1, shape))
        neuron = np.repeat(np.arange(neurons), 10)
        words = pd.Series(rng.zipf(1.3, len(neuron)) % 30_000).map("word{}".format)
        index = index_words(neuron, words)
        links = {NAMES[other]: f"study/{NAMES[other]}"}
        details = Details(table, examples, codes, histogram, tokens)
        yield Network(f"study/{NAMES[own]}", NAMES[own], links, details, index, index)


def write_small(folder: Path, of_images: bool = False) -> list[Network]:
    """Write the viewer of the small networks; `of_images`: as if words had been drawn in patches of images."""
    rng = np.random.default_rng(5)
    units = patches_table(rng) if of_images else units_table(800, rng)
    networks, images = small_networks(units, rng), []
    if of_images:
        images = [("study", made_images())]
        units = units.rename(columns={"text": "content"})
        of_text = [*(name for name in OF_TEXT if name in networks[0].table)]
        details = [replace(one.details, table=one.table.drop(columns=of_text)) for one in networks]
        networks = [replace(one, details=own) for one, own in zip(networks, details, strict=True)]
    write_page(folder, "made-up", {"study": units}, networks, images=images)
    return networks


def decoded(text: str) -> tuple[str, dict, dict[str, np.ndarray]]:
    """Key, what is said, and arrays of a script, read as viewer.js reads them."""
    key, about, data = json.loads("[" + text.removeprefix("rosetta(").removesuffix(")\n") + "]")
    raw, at, arrays = gzip.decompress(base64.b64decode(data)), 0, {}
    for name, kind, length in about["arrays"]:
        arrays[name] = np.frombuffer(raw, f"<{kind}", length, at)
        at += -(-arrays[name].nbytes // 4) * 4
    assert at == len(raw)
    return key, about, arrays
