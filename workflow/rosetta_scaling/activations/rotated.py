"""Random neurons on the residual stream of a network, behind its own nonlinearity: decoys that share no neuron.

The centred pre-activations of a layer, each over the length of its weights, go through a random orthogonal map and get
back the mean and the variance of every neuron; the network's own nonlinearity, and the product of gated MLPs, make
activations of them. So the residual stream, its spectrum, the sparsity and the shape that a nonlinearity gives are
those of the network, and only the basis that it has learned is gone. Nothing is written back: every layer reads the
stream as training has made it.

Over the length of its weights, and not over its deviation: a neuron that happens to look where the stream varies most
would then count less, and decoys would look there more rarely than random neurons do. On streams that share nothing
real neurons won a fifth more often than such decoys. Only one that varies far more than its weights suggest is scaled
down, or it would be a part of every decoy.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from rosetta_scaling.activations.chunks import KEPT_BYTES
from rosetta_scaling.activations.forward import ForwardPass, Reading, Receive
from rosetta_scaling.activations.inputs.contract import Batch, Inputs
from rosetta_scaling.networks.mlps import find_mlps, read_inputs
from rosetta_scaling.numerics.moments import Moments
from rosetta_scaling.numerics.rotations import FastRotation
from rosetta_scaling.numerics.seeds import generator

SAMPLED = 2**14  # positions, evenly spread, from which means and variances are taken: they are known to about 1%

LIVELIEST = 2.0  # times the median of its layer: so much may a neuron vary, for the length of its weights

Rotation = Callable[[torch.Tensor], torch.Tensor]
# (layer, part) -> mean and deviation (neurons,) of pre-activations. A gated MLP has two parts: its gate, and the other.
Spread = dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]]


class PreActivations:
    """What all rotations of a network start from: its MLPs, what enters them, and how their pre-activations vary.

    What enters them is kept as far as there is room, so that further rotations need no forward pass for it.
    """

    def __init__(self, model: torch.nn.Module, inputs: Inputs, reading: Reading, room: int = KEPT_BYTES):
        self.model, self.inputs, self.reading, self.room = model, inputs, reading, room
        self.mlps = find_mlps(model)
        self.kept: dict[bytes, dict[int, torch.Tensor]] = {}  # numbers of samples -> layer -> what enters its MLP
        self.own: Spread = self.spread(lambda layer, part, values: values)
        self.scales = self._scales()

    def pass_on(self, samples: np.ndarray, batch: Batch, layers: Sequence[int], receive: Receive) -> None:
        """Call receive(layer, what enters its MLP) for these layers of a batch of samples."""
        kept = self.kept.setdefault(samples.tobytes(), {})
        if kept.keys() >= set(layers):
            for layer in layers:
                receive(layer, kept[layer])
            return

        def keep(layer: int, entering: torch.Tensor) -> None:
            if layer not in kept and entering.nbytes <= self.room:
                kept[layer] = entering.clone()
                self.room -= entering.nbytes
            receive(layer, entering)

        with read_inputs({layer: self.mlps[layer].ups[0] for layer in layers}, keep):
            self.model(**batch.arguments)

    def spread(self, change: Callable[[int, int, torch.Tensor], torch.Tensor]) -> Spread:
        """Means and deviations of pre-activations after `change`, on positions inside units."""
        moments: dict[tuple[int, int], Moments] = {}
        for samples in self._sampled_batches():
            batch = self.inputs.batch(samples)

            def receive(layer: int, entering: torch.Tensor, batch=batch) -> None:
                for part, values in enumerate(self.mlps[layer].pre_activations(entering)):
                    columns = change(layer, part, batch.inside(values)).T  # (neurons, positions)
                    running = moments.setdefault((layer, part), Moments(len(columns), columns.device))
                    running.add(columns, torch.empty_like(columns))

            if len(batch.units):
                with torch.inference_mode():
                    self.pass_on(samples, batch, range(len(self.mlps)), receive)
        return {key: (running.mean().float(), running.deviation().float()) for key, running in moments.items()}

    def scaled(self, layer: int, part: int, values: torch.Tensor) -> torch.Tensor:
        """Pre-activations (..., neurons), centred and scaled: what is rotated."""
        return (values - self.own[layer, part][0]) * self.scales[layer, part]

    def _scales(self) -> dict[tuple[int, int], torch.Tensor]:
        """What centred pre-activations are multiplied by (neurons,): one over the length of the weights (see above)."""
        scales = {}
        for layer, mlp in enumerate(self.mlps):
            for part, length in enumerate(mlp.lengths()):
                deviation = self.own[layer, part][1]
                length = length.to(deviation.device)
                usual = (deviation / length)[deviation > 0].nanmedian()
                scales[layer, part] = torch.where(
                    deviation > 0, 1 / torch.maximum(length, deviation / (LIVELIEST * usual)), 0.0
                )
        return scales

    def _sampled_batches(self) -> list[np.ndarray]:
        """Samples from all over the text with at most about SAMPLED positions, those of similar length together."""
        lengths = self.inputs.lengths
        count = int(np.ceil(len(lengths) * min(1.0, SAMPLED / lengths.sum())))
        samples = np.unique(np.linspace(0, len(lengths) - 1, count).astype(int))
        samples = samples[np.argsort(lengths[samples], kind="stable")]
        return np.split(samples, range(self.reading.batch, len(samples), self.reading.batch))


class RotatedBeforeNonlinearity(ForwardPass):
    """A source whose neurons are random ones: see above. Gate and up of a gated MLP are rotated alike."""

    def __init__(
        self,
        network: PreActivations,
        *,
        seed: object,
        weights: object = None,
        rotation: Callable[[int, torch.Generator], Rotation] = FastRotation,
    ):
        """`seed`, any JSON-like value, decides the rotations, which `rotation` makes from a width and a generator."""
        super().__init__(network.model, network.inputs, network.reading, weights=weights)
        self.network = network
        self.rotations = [rotation(width, generator(seed, layer)) for layer, width in enumerate(self.widths)]
        self.turned: Spread = network.spread(self._turn)

    def pass_on(self, samples: np.ndarray, batch: Batch, layers: list[int], receive: Receive) -> None:
        def rotate(layer: int, entering: torch.Tensor) -> None:
            mlp = self.network.mlps[layer]
            rotated = [self._rotate(layer, part, values) for part, values in enumerate(mlp.pre_activations(entering))]
            receive(layer, mlp.neurons(rotated))

        self.network.pass_on(samples, batch, layers, rotate)

    def _rotate(self, layer: int, part: int, values: torch.Tensor) -> torch.Tensor:
        """Pre-activations (..., neurons) rotated, with the mean and variance of every neuron as before."""
        mean, deviation = self.network.own[layer, part]
        turned = self._turn(layer, part, values.float()) / self.turned[layer, part][1].clamp(min=1e-30)
        return (turned * deviation + mean).to(values.dtype)

    def _turn(self, layer: int, part: int, values: torch.Tensor) -> torch.Tensor:
        """Centred and scaled pre-activations (..., neurons), rotated."""
        return self.rotations[layer](self.network.scaled(layer, part, values))
