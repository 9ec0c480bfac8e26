"""Linear networks on the mixture: one encoder for all tasks, gradient descent, and what happens to a rare task.

Inputs x (inputs,) are standard normal. Feature i of all tasks is x_i, with amplitude sqrt(lambda_i) and its own output.
Initial weights have no preferred direction, so any other orthonormal features would give the same results. A
network is y = D U x. Networks of one width are trained side by side, and none depends on another.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from rosetta_scaling.companions.mixture.networks import Mixture, seed_of

EXACT = torch.float64  # for population losses; on batches, noise exceeds the rounding of float32


Gradients = tuple[torch.Tensor, torch.Tensor]  # by encoder and by decoder


@dataclass
class Networks:
    """Networks of one width, side by side."""

    encoder: torch.Tensor  # U (networks, width, inputs)
    decoder: torch.Tensor  # D (networks, features, width)

    def to(self, like: torch.Tensor) -> "Networks":
        """Copies on the device and of the dtype of a tensor."""
        return Networks(self.encoder.to(like), self.decoder.to(like))

    def step(self, gradients: Gradients, rate: float) -> None:
        """Change the weights in place."""
        self.encoder.sub_(gradients[0], alpha=rate)
        self.decoder.sub_(gradients[1], alpha=rate)


@dataclass(frozen=True)
class Targets:
    """The features of all tasks, task after task."""

    maps: torch.Tensor  # (features, inputs): amplitude times direction
    task: torch.Tensor  # (features,): number of the task

    @classmethod
    def of(
        cls, mixture: Mixture, inputs: int, dtype: torch.dtype = EXACT, device: torch.device | str = "cpu"
    ) -> "Targets":
        """The features of a mixture, each along an input of its own."""
        spectrum = torch.from_numpy(mixture.spectra).flatten()
        maps = torch.zeros(len(spectrum), inputs, dtype=torch.float64)
        maps[:, : len(spectrum)] = spectrum.sqrt().diag()
        task = torch.arange(len(mixture.frequencies)).repeat_interleave(mixture.spectra.shape[1])
        return cls(maps.to(device, dtype), task.to(device))

    def weights(self, frequencies: np.ndarray) -> torch.Tensor:
        """Frequencies (tasks,) as weights (features,) of the outputs."""
        return torch.as_tensor(frequencies, dtype=self.maps.dtype, device=self.maps.device)[self.task]


def initial(width: int, count: int, features: int, inputs: int, *, deviation: float, seed: tuple[int, ...]) -> Networks:
    """Normal weights of `deviation` over the root of the number of inputs to each neuron or output, in float64.

    The start of a network depends on its position, not on the number of networks.
    """
    encoders, decoders = [], []
    for place in range(count):
        generator = torch.Generator().manual_seed(seed_of(*seed, width, place))
        encoders.append(torch.randn(width, inputs, generator=generator, dtype=EXACT) * deviation / inputs**0.5)
        decoders.append(torch.randn(features, width, generator=generator, dtype=EXACT) * deviation / width**0.5)
    return Networks(torch.stack(encoders), torch.stack(decoders))


def population_gradients(networks: Networks, targets: Targets, weights: torch.Tensor) -> Gradients:
    """Gradients by encoder and decoder of sum_i weights_i |row i of D U - maps|^2, the loss over infinite data."""
    residual = weights[:, None] * (networks.decoder @ networks.encoder - targets.maps)
    return 2 * networks.decoder.mT @ residual, 2 * residual @ networks.encoder.mT


def population_losses(networks: Networks, targets: Targets) -> torch.Tensor:
    """Loss of every feature's output (networks, features) over infinite data."""
    return (networks.decoder @ networks.encoder - targets.maps).square().sum(2)


def batch_gradients(networks: Networks, targets: Targets, x: torch.Tensor, asked: torch.Tensor) -> Gradients:
    """Gradients over a batch of inputs x (networks, batch, inputs), of the task `asked` (networks, batch) of each."""
    hidden = x @ networks.encoder.mT
    error = hidden @ networks.decoder.mT - x @ targets.maps.T
    error *= targets.task == asked[:, :, None]
    error *= 2 / x.shape[1]
    return (error @ networks.decoder).mT @ x, error.mT @ hidden


def energy(networks: Networks, targets: Targets) -> torch.Tensor:
    """|P_U b|^2 (networks, features): how much of every feature lies in the span of the encoder."""
    basis = torch.linalg.svd(networks.encoder.double(), full_matrices=False)
    spanned = basis.S / basis.S[:, :1] > 1e-6  # parallel neurons span fewer dimensions
    directions = torch.nn.functional.normalize(targets.maps.double(), dim=1)
    return ((basis.Vh @ directions.T).square() * spanned[:, :, None]).sum(1)


def train_population(networks: Networks, targets: Targets, frequencies: np.ndarray, *, steps: int, rate: float) -> None:
    """Gradient descent on the population loss of the mixture, in place."""
    weights = targets.weights(frequencies)
    for _ in range(steps):
        networks.step(population_gradients(networks, targets, weights), rate)


class Descent(NamedTuple):
    """Gradient descent on batches: inputs per step, learning rate, and what draws inputs and tasks."""

    batch: int
    rate: float
    generator: torch.Generator


def train_batches(
    networks: Networks, targets: Targets, frequencies: np.ndarray, *, steps: int, descent: Descent
) -> None:
    """Gradient descent on new batches, whose tasks are drawn by their frequencies, in place.

    Every network gets batches of its own.
    """
    batch, rate, generator = descent
    drawn = torch.as_tensor(frequencies, dtype=torch.float64, device=generator.device)
    for _ in range(steps):
        networks.step(batch_gradients(networks, targets, *draw(networks, drawn, batch, generator)), rate)


def draw(
    networks: Networks, frequencies: torch.Tensor, batch: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (networks, batch, inputs) and the task of each (networks, batch)."""
    count, _, inputs = networks.encoder.shape
    x = torch.randn(
        count, batch, inputs, generator=generator, dtype=networks.encoder.dtype, device=networks.encoder.device
    )
    asked = torch.multinomial(frequencies, count * batch, replacement=True, generator=generator)
    return x, asked.view(count, batch)
