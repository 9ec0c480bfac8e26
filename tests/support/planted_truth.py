"""Networks in which the shared neurons are known: what a list of matches says can be compared with the truth.

The text has documents with topics, Zipf's law and repetitions. Networks read the same latents of falling spectrum: the
token, the one before, a context that lasts, and the document. A neuron is a nonlinearity of a random direction of the
subspace of its layer, with noise of its own that lasts too, less a threshold: many are sparse, and the first latents
make hubs. Some neurons share a feature (a set of tokens, of pairs of tokens, or a direction) with a neuron of every
other network, so strongly that r is anything from 0 to 1. A few massive neurons fire on the first unit of documents.
They correspond to nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from rosetta_scaling.schemas.names import UNMARKED
from rosetta_scaling.selectivity.marks import fires_on_starts

UNITS, TOKENS, TOPICS = 4096, 1500, 12
SHAPES: dict[str, Callable] = {"gelu": functional.gelu, "relu": functional.relu, "silu": functional.silu}
GATED = "gated"  # silu of one direction times another
LAYERS = {192: 2, 384: 2, 768: 3, 1536: 4, 3072: 6}  # neurons -> layers
SHARED = {192: 0.16, 384: 0.12, 768: 0.09, 1536: 0.09, 3072: 0.09}  # neurons -> share of them with a partner
# Of uniform numbers: so strongly do the inputs of partners correlate. An oracle finds .63 to .7 of them.
STRENGTH_POWER = 3.0
FALL = -0.4  # of the amplitude of the latents of a layer, with their rank
LASTING = 0.8  # autocorrelation of context and noise


def lasting(rng: np.random.Generator, rows: int, first: np.ndarray) -> np.ndarray:
    """Gaussian noise (rows, units) of variance 1 that lasts within documents; `first` (units,) marks their starts."""
    x = rng.standard_normal((len(first), rows), np.float32)
    for t in np.flatnonzero(~first):
        x[t] = LASTING * x[t - 1] + (1 - LASTING**2) ** 0.5 * x[t]
    return np.ascontiguousarray(x.T)


def standard(x: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and variance 1; constant ones are 0."""
    x = x - x.mean(1, keepdims=True)
    return x / np.maximum(x.std(1, keepdims=True), 1e-6)


def orthogonal(rng: np.random.Generator, size: int) -> np.ndarray:
    """A uniformly distributed orthogonal matrix (size, size), float32."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return (q * np.sign(np.diag(r))).astype(np.float32)


class Text:
    """Units of documents: token (units,), topic of their document, and whether they are its first."""

    def __init__(self, rng: np.random.Generator, units: int):
        self.rng = rng
        length = rng.integers(24, 160, units)
        edges = np.append(0, np.cumsum(length))
        self.first = np.isin(np.arange(units), edges)
        doc = np.cumsum(self.first) - 1
        self.topic = rng.integers(0, TOPICS, units)[doc]
        zipf = 1 / np.arange(1, TOKENS + 1)
        chance = zipf * np.where(rng.random((TOPICS, TOKENS)) < 0.06, 15, 1)
        of_topic = np.cumsum(chance / chance.sum(1, keepdims=True), 1)
        self.token = (rng.random((units, 1)) > of_topic[self.topic]).sum(1).clip(max=TOKENS - 1)
        for t in np.flatnonzero(rng.random(units) < 0.15):  # said again
            self.token[t] = self.token[rng.integers(edges[doc[t]], t + 1)]
        self.before = np.where(self.first, TOKENS, np.roll(self.token, 1))

    def latents(self, number: int) -> np.ndarray:
        """(4 * number, units): of the token, the one before, a context that lasts, and the document."""
        embedding = [self.rng.standard_normal((number, size), np.float32) for size in (TOKENS, TOKENS + 1, TOPICS)]
        of_document = embedding[2][:, self.topic] + 0.5 * lasting(self.rng, number, self.first)
        parts = [embedding[0][:, self.token], embedding[1][:, self.before], lasting(self.rng, number, self.first)]
        return standard(np.concatenate([*parts, of_document]))

    def features(self, number: int, latents: np.ndarray) -> np.ndarray:
        """Features (number, units) that networks can share: sets of tokens, pairs of tokens, directions."""
        found = np.empty((number, len(self.token)), np.float32)
        leads = 2 + self.rng.permutation(max(120, number))[:number]  # every feature has a frequent token of its own
        kinds = self.rng.integers(0, 3, number)
        for row, lead, kind in zip(found, leads, kinds, strict=True):
            some = np.append(lead, self.rng.integers(30, 500, 10))
            row[:] = np.isin(self.token, some)
            if kind == 1:  # after some tokens only
                row *= (self.rng.random(TOKENS + 1) < 0.5)[self.before]
            row[:] = standard(row[None])[0]
            if kind == 2:  # partly in the subspace
                row += 0.7 * standard((self.rng.standard_normal(len(latents)) @ latents)[None])[0]
            row += 0.3 * self.rng.standard_normal(len(row))
        return standard(found)


@dataclass(frozen=True)
class Network:
    """Inputs of the nonlinearities, (1 or 2, neurons, units): two in gated networks."""

    inputs: np.ndarray  # with mean 0, as weights of length 1 would give them
    mean: np.ndarray  # (1 or 2, neurons, 1) of the inputs as the nonlinearity reads them
    deviation: np.ndarray
    shape: str
    layers: int

    def activations(self, rotation: int | None = None) -> np.ndarray:
        """(neurons, units), float32; with the seed of a rotation, those of a decoy: rotated before the nonlinearity."""
        ready = standard if rotation is None else partial(self.rotated, rotation=rotation)
        return self.after(np.stack([ready(x) for x in self.inputs]))

    def rotated_after(self, rotation: int) -> np.ndarray:
        """The decoys of the null `rotate`: standardised activations times a random orthogonal matrix."""
        return self.rotated(standard(self.activations()), rotation)

    def rotated(self, x: np.ndarray, rotation: int) -> np.ndarray:
        """Every layer of x (neurons, units) times a random orthogonal matrix; then rows are standardised."""
        rng, parts = np.random.default_rng([rotation, 77]), []
        for layer in np.split(x, self.layers):
            parts.append(orthogonal(rng, len(layer)) @ layer)
        return standard(np.concatenate(parts))

    def after(self, inputs: np.ndarray) -> np.ndarray:
        x = torch.from_numpy((inputs * self.deviation + self.mean).astype(np.float32))
        y = functional.silu(x[0]) * x[1] if self.shape == GATED else SHAPES[self.shape](x[0])
        return y.numpy()


@dataclass(frozen=True)
class Planted:
    """Networks that read the same text; place[network][s] is the neuron that carries the shared feature s."""

    networks: list[Network]
    place: list[np.ndarray]
    massive: list[np.ndarray]  # neurons of every network that fire on the first unit of documents
    first: np.ndarray  # (units,): is it the first of its document?

    def kinds(self, matches: pd.DataFrame) -> np.ndarray:
        """What the mutual match of every neuron of the first network is (neurons,): nothing where it has none, else

        true; related, if one of both carries a planted feature, to which the other responds or may respond; or chance.
        """
        size, true = len(self.networks[0].activations()), self.true()
        mutual = matches[(matches.rank_a == 1) & (matches.rank_b == 1)].set_index("neuron_a")
        partner = mutual.neuron_b.reindex(range(size), fill_value=-1).to_numpy()
        is_true = np.array([true.get(neuron, -2) for neuron in range(size)]) == partner
        of_feature = np.isin(np.arange(size), self.place[0]) | np.isin(partner, self.place[1])
        return np.select([partner < 0, is_true, of_feature], ["", "true", "related"], "chance")

    def true(self, other: int = 1) -> dict[int, int]:
        """Neuron of the first network -> its partner in another one."""
        return dict(zip(self.place[0].tolist(), self.place[other].tolist(), strict=True))


def planted(
    seed: int, neurons: int, shapes: tuple[str, ...] = ("gelu", "gelu"), *, share: float | None = None, units=UNITS
) -> Planted:
    """Networks of these nonlinearities with `neurons` each, of which a share (see SHARED) corresponds."""
    rng = np.random.default_rng([seed, neurons])
    text, layers = Text(rng, units), LAYERS[neurons]
    latents = text.latents(neurons // layers // 4)
    shared = round(neurons * (SHARED[neurons] if share is None else share))
    features, strength = text.features(shared, latents), rng.uniform(0.15, 0.97, shared) ** STRENGTH_POWER
    stream = np.concatenate([latents, features])  # what is shared is on the residual stream, too
    networks, places, all_massive = [], [], []
    for shape in shapes:
        place = rng.permutation(neurons)[:shared]
        inputs = []
        for _ in range(2 if shape == GATED else 1):
            x = own_inputs(rng, stream, text.first, neurons=neurons, layers=layers)
            weight = np.sqrt(strength)[:, None].astype(np.float32)
            x[place] = weight * features + np.sqrt(1 - weight**2) * x[place]
            inputs.append(x)
        free = np.setdiff1d(np.arange(neurons), place)
        massive = rng.choice(free, max(3, neurons // 200), replace=False)
        inputs[0][massive] = 12 * text.first + 0.5 * inputs[0][massive]
        size = (len(inputs), neurons, 1)
        deviation = np.exp(0.3 * rng.standard_normal(size)).astype(np.float32)
        mean = -rng.uniform(0, 1.5, size).astype(np.float32) * deviation
        if shape == GATED:
            mean[1] = 0.3 * rng.standard_normal((neurons, 1))
        x = np.stack(inputs)
        networks.append(Network(x - x.mean(2, keepdims=True), mean, deviation, shape, layers))
        places.append(place)
        all_massive.append(massive)
    return Planted(networks, places, all_massive, text.first)


def own_inputs(rng, latents: np.ndarray, first: np.ndarray, *, neurons: int, layers: int) -> np.ndarray:
    """Random directions (neurons, units) of the subspace of their layer, which falls in its spectrum, with noise.

    They are mixed once by an orthogonal matrix, so that decoys, which are mixed once more, are such directions too.
    """
    parts, hidden = [], neurons // layers // 4
    for _ in range(layers):
        basis = rng.standard_normal((hidden, len(latents))).astype(np.float32)
        basis *= np.arange(1, hidden + 1)[:, None].astype(np.float32) ** FALL
        x = rng.standard_normal((neurons // layers, hidden)).astype(np.float32) @ (basis @ latents)
        x = standard(standard(x) + 0.5 * lasting(rng, len(x), first))
        parts.append(orthogonal(rng, len(x)) @ x)
    return np.concatenate(parts)


def partners(x: np.ndarray, y: np.ndarray, **columns) -> pd.DataFrame:
    """The best partners of both sides, as a table of partners (see neighbours.partner_table), by numpy alone."""
    r = standard(x) @ standard(y).T / x.shape[1]
    best_a, best_b = r.argmax(1), r.argmax(0)
    rows = pd.DataFrame({"neuron_a": np.append(np.arange(len(x)), best_b)})
    rows["neuron_b"] = np.append(best_a, np.arange(len(y)))
    rows = rows.drop_duplicates(ignore_index=True)
    rows["r"] = r[rows.neuron_a, rows.neuron_b].astype(float)
    rows["rank_a"] = (best_a[rows.neuron_a] == rows.neuron_b).astype(int)
    rows["rank_b"] = (best_b[rows.neuron_b] == rows.neuron_a).astype(int)
    return rows.assign(mark_a=UNMARKED, mark_b=UNMARKED, **columns)


def marks(x: np.ndarray, first: np.ndarray, top: int = 20) -> np.ndarray:
    """Marks of neurons from their `top` strongest units (see selectivity/marks.py)."""
    starts = fires_on_starts(np.argpartition(-x, top, axis=1)[:, :top].T, first)
    return np.where(starts, "start", UNMARKED)


def decoy_draws(a: np.ndarray, decoys: Mapping[int, np.ndarray]) -> pd.DataFrame:
    """Tables of partners of A with every draw of decoys of B."""
    return pd.concat([partners(a, of_b, draw=draw, changed="b") for draw, of_b in decoys.items()], ignore_index=True)
