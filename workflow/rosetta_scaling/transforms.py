"""Transforms of a source (see sources.py): the same contract, other activations.

A null is such a transform of one of two models before both go through the engine; a stability check picks units or
neurons of both. Everything random is decided by a seed, the layer and the chunk, so tiles of a pair see the same.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from rosetta_scaling.correlation import CrossProducts, Moments
from rosetta_scaling.store import digest


def generator(*seed) -> torch.Generator:
    """Random numbers on the processor, the same on every device, decided by any JSON-like values."""
    return torch.Generator().manual_seed(int(digest(list(seed)), 16) % 2**63)


class Transformed:
    """A source that is made from another one."""

    def __init__(self, source):
        self.source = source
        self.widths, self.units, self.weights, self.chunk = source.widths, source.units, source.weights, source.chunk

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        raise NotImplementedError


class Selected(Transformed):
    """Some neurons only; `index` is sorted."""

    def __init__(self, source, index: np.ndarray):
        super().__init__(source)
        self.index, self.widths = torch.from_numpy(np.asarray(index)), [len(index)]

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        index = self.index[start:stop]
        first, last = int(index[0]), int(index[-1])
        for values in self.source.chunks(first, last + 1):
            yield values[(index - first).to(values.device)]


class OfUnits(Transformed):
    """Some units only; `chosen` (units,) says which."""

    def __init__(self, source, chosen: np.ndarray):
        super().__init__(source)
        self.chosen, self.units = torch.from_numpy(np.flatnonzero(chosen)), int(chosen.sum())

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        begin = 0
        for values in self.source.chunks(start, stop):
            inside = self.chosen[(self.chosen >= begin) & (self.chosen < begin + values.shape[1])] - begin
            begin += values.shape[1]
            if len(inside):
                yield values[:, inside.to(values.device)]


class Shuffled(Transformed):
    """Units shuffled within each chunk; on a displaced source no unit keeps its place, its neighbours or its partner.

    Keeps every neuron's distribution and the correlations within the model; destroys autocorrelation and alignment.
    """

    def __init__(self, source, seed):
        super().__init__(source)
        self.seed = seed

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        for i, values in enumerate(self.source.chunks(start, stop)):
            order = torch.randperm(values.shape[1], generator=generator(self.seed, i))
            yield values[:, order.to(values.device)]


class ByLayer(Transformed):
    """Neurons of a layer are mixed with each other: whole layers are read, and the rows asked for are cut out."""

    def mix(self, layer: int, chunk: int, values: torch.Tensor) -> torch.Tensor:
        """New activations of a layer, float32, from its activations (width, units)."""
        raise NotImplementedError

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        edges = np.cumsum([0, *self.widths])
        stop = edges[-1] if stop is None else stop
        layers = [i for i in range(len(self.widths)) if edges[i] < stop and edges[i + 1] > start]
        first, last = int(edges[layers[0]]), int(edges[layers[-1] + 1])
        for i, values in enumerate(self.source.chunks(first, last)):
            parts = values.float().split([self.widths[layer] for layer in layers])
            mixed = torch.cat([self.mix(layer, i, part) for layer, part in zip(layers, parts, strict=True)])
            yield mixed[start - first : stop - first]


class Rotated(ByLayer):
    """Every layer in a random orthonormal basis of its own: the subspace stays, the neurons are gone.

    With `standardise` all neurons weigh the same, and the spectrum of their correlation matrix is kept; without, the
    spectrum of their covariance matrix.
    """

    def __init__(self, source, seed, standardise: bool):
        super().__init__(source)
        self.seed, self.standardise, self.bases = seed, standardise, {}

    def basis(self, layer: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """The matrix (width, width) that the layer is multiplied by, and the values that are taken off before."""
        if layer not in self.bases:
            matrix = random_rotation(self.widths[layer], generator(self.seed, layer))
            shift = torch.zeros(self.widths[layer])
            if self.standardise:
                mean, deviation = mean_and_deviation(self.source, *layer_range(self.widths, layer))
                matrix, shift = matrix * torch.where(deviation > 0, 1 / deviation, 0.0), mean
            self.bases[layer] = matrix.to(device), shift[:, None].to(device)
        return self.bases[layer]

    def mix(self, layer: int, chunk: int, values: torch.Tensor) -> torch.Tensor:
        matrix, shift = self.basis(layer, values.device)
        return matrix @ (values - shift)


class Gaussian(ByLayer):
    """Independent Gaussian units with the covariance of every layer: what its spectrum alone gives by chance."""

    def __init__(self, source, seed):
        super().__init__(source)
        self.seed, self.factors = seed, {}

    def mix(self, layer: int, chunk: int, values: torch.Tensor) -> torch.Tensor:
        if layer not in self.factors:
            covariance = layer_covariance(self.source, *layer_range(self.widths, layer)).double()
            power, axes = torch.linalg.eigh(covariance)
            self.factors[layer] = (axes * power.clamp(min=0).sqrt()).float().to(values.device)
        noise = torch.randn(values.shape, generator=generator(self.seed, layer, chunk))
        return self.factors[layer] @ noise.to(values.device)


def layer_range(widths: Sequence[int], layer: int) -> tuple[int, int]:
    """First neuron of a layer, and the first of the next."""
    start = sum(widths[:layer])
    return start, start + widths[layer]


def random_rotation(size: int, random: torch.Generator) -> torch.Tensor:
    """A uniformly distributed (Haar) orthogonal matrix (size, size), float32 (Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(size, size, generator=random, dtype=torch.float64))
    return (q * r.diagonal().sign()).float()


def mean_and_deviation(source, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (float32) of some neurons; the deviation of constant ones is 0."""
    moments, out = None, torch.empty(stop - start, source.chunk)
    for values in source.chunks(start, stop):
        moments = moments or Moments(stop - start, values.device)
        moments.add(values, out.to(values.device)[:, : values.shape[1]])
    mean = moments.shift.double() + moments.sum / moments.count / moments.scale.double()
    deviation = moments.norm() / moments.scale.double() / moments.count**0.5
    return mean.float().cpu(), torch.where(moments.constant, 0.0, deviation).float().cpu()


def layer_covariance(source, start: int, stop: int) -> torch.Tensor:
    """Covariance (neurons, neurons) of some neurons, float32."""
    products = CrossProducts(stop - start, stop - start, source.chunk)
    for values in source.chunks(start, stop):
        products.add(values.cpu(), values.cpu())
    moments = products.a
    deviation = torch.where(moments.constant, 0.0, moments.norm() / moments.scale.double() / moments.count**0.5)
    r = products.correlations().masked_fill(moments.constant, 0).masked_fill(moments.constant[:, None], 0)
    return r * deviation.float() * deviation.float()[:, None]
