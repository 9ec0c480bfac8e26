"""Transforms of a source (see sources.py): the same contract, other activations.

A null is such a transform of one of two models before both go through the engine (TRANSFORMS below); a stability check
picks units or neurons of both (see matching/subsets.py). A seed, the layer and the chunk decide everything random, so
all tiles of a pair see the same.
"""

import itertools
from collections.abc import Iterator

import torch

from rosetta_scaling.activations.moments import mean_and_deviation
from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.products import CrossProducts
from rosetta_scaling.matching.subsets import Transformed
from rosetta_scaling.numerics.seeds import generator
from rosetta_scaling.schemas.nulls import require_complete


class Shuffled(Transformed):
    """Units shuffled within each chunk. Of a displaced source, no unit keeps its place, its neighbours or its partner.

    This keeps every neuron's distribution and the correlations within the model; it destroys autocorrelation and
    alignment.
    """

    def __init__(self, source: Source, seed: object):
        super().__init__(source)
        self.seed = seed

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        for i, values in enumerate(self.source.chunks(start, stop)):
            order = torch.randperm(values.shape[1], generator=generator(self.seed, i))
            yield values[:, order.to(values.device)]


class ByLayer(Transformed):
    """Neurons of a layer are mixed with each other: whole layers are read, and the rows asked for are cut out."""

    def prepare(self, layers: range) -> None:
        """Find out in one pass what mixing these layers needs."""
        raise NotImplementedError

    def mix(self, layer: int, chunk: int, values: torch.Tensor) -> torch.Tensor:
        """New activations of a layer, float32, from its activations (width, units)."""
        raise NotImplementedError

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        edges = self.edges()
        stop = edges[-1] if stop is None else stop
        touched = [i for i in range(len(self.widths)) if edges[i] < stop and edges[i + 1] > start]
        layers = range(touched[0], touched[-1] + 1)
        self.prepare(layers)
        first, last = edges[layers.start], edges[layers.stop]
        for i, values in enumerate(self.source.chunks(first, last)):
            split = values.float().split(self.widths[layers.start : layers.stop])
            mixed = torch.cat([self.mix(layer, i, x) for layer, x in zip(layers, split, strict=True)])
            yield mixed[start - first : stop - first]

    def edges(self) -> list[int]:
        """First neuron of every layer, and the number of neurons."""
        return [0, *itertools.accumulate(self.widths)]


class Rotated(ByLayer):
    """Every layer in a random orthonormal basis of its own: the subspace stays, the neurons are gone.

    With `standardise` all neurons weigh the same, and the spectrum of their correlation matrix is kept; without, the
    spectrum of their covariance matrix.
    """

    def __init__(self, source: Source, seed: object, standardise: bool):
        super().__init__(source)
        self.seed, self.standardise = seed, standardise
        self.bases: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # by layer: rotation (n, n), mean (n, 1)

    def prepare(self, layers: range) -> None:
        if all(layer in self.bases for layer in layers):
            return
        first, last = self.edges()[layers.start], self.edges()[layers.stop]
        mean, deviation = torch.zeros(last - first), torch.ones(last - first)
        if self.standardise:
            mean, deviation = mean_and_deviation(self.source, first, last)
        weight = torch.where(deviation > 0, 1 / deviation, 0.0)
        widths = self.widths[layers.start : layers.stop]
        for layer, shift, scale in zip(layers, mean.split(widths), weight.split(widths), strict=True):
            matrix = random_rotation(self.widths[layer], generator(self.seed, layer))
            self.bases[layer] = matrix * scale, shift[:, None]

    def mix(self, layer: int, chunk: int, values: torch.Tensor) -> torch.Tensor:
        matrix, shift = self.bases[layer]
        return matrix.to(values.device) @ (values - shift.to(values.device))


class Gaussian(ByLayer):
    """Independent Gaussian units with the covariance of every layer: what its spectrum alone gives by chance."""

    def __init__(self, source: Source, seed: object):
        super().__init__(source)
        self.seed = seed
        self.factors: dict[int, torch.Tensor] = {}  # by layer: (n, n), whose square is the covariance

    def prepare(self, layers: range) -> None:
        if all(layer in self.factors for layer in layers):
            return
        first, last = self.edges()[layers.start], self.edges()[layers.stop]
        widths = self.widths[layers.start : layers.stop]
        products = [CrossProducts(width, width, self.chunk) for width in widths]
        for values in self.source.chunks(first, last):
            for of_layer, running in zip(values.cpu().split(widths), products, strict=True):
                running.add(of_layer, of_layer)
        for layer, running in zip(layers, products, strict=True):
            power, axes = torch.linalg.eigh(covariance(running))
            self.factors[layer] = (axes * power.clamp(min=0).sqrt()).float()
            self.factors[layer][running.a.constant] = 0  # not the rounding of the axes

    def mix(self, layer: int, chunk: int, values: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(values.shape, generator=generator(self.seed, layer, chunk))
        return self.factors[layer].to(values.device) @ noise.to(values.device)


def random_rotation(size: int, random: torch.Generator) -> torch.Tensor:
    """A uniformly distributed (Haar) orthogonal matrix (size, size), float32 (Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(size, size, generator=random, dtype=torch.float64))
    return (q * r.diagonal().sign()).float()


def covariance(products: CrossProducts) -> torch.Tensor:
    """Covariance (neurons, neurons), float64, from the products of some neurons with themselves."""
    deviation, constant = products.a.deviation(), products.a.constant
    r = products.correlations().double().masked_fill(constant, 0).masked_fill(constant[:, None], 0)
    return r * deviation * deviation[:, None]


# Null -> what makes a draw of it from an open source and a seed.
TRANSFORMS = {
    "shift": lambda source, seed: source,  # the source was opened with its units displaced
    "permute": Shuffled,
    "gaussian": Gaussian,
    "rotate": lambda source, seed: Rotated(source, seed, standardise=True),
    "rotate_raw": lambda source, seed: Rotated(source, seed, standardise=False),
}
FRESH = "untrained"  # not a transform: both networks are opened with fresh weights
INSIDE = "rotate_pre"  # not a transform, either: see activations/rotated.py

require_complete((*TRANSFORMS, FRESH, INSIDE), "nulls/transforms.py")
