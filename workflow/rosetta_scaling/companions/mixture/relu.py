"""Networks with one hidden layer of ReLU neurons on the mixture: their neurons, unlike directions, are identifiable.

Feature j of task k is the function g(w_kj . x) = (relu(w_kj . x) - mean) / deviation of normal inputs x (inputs,), with
orthonormal w_kj that are the same for all networks and are not along axes, which Adam would favour. The network has
neurons relu(u_i . x), one linear output per feature and the best constant for each, which is why only covariances
matter. The covariance of two neurons at an angle theta is |u| |v| (sin theta + (pi - theta) cos theta - 1) / (2 pi)
(Cho and Saul 2009), so the population loss and its gradient are exact and no data are drawn.
"""

import logging
import math
from dataclasses import dataclass

import torch

from rosetta_scaling.companions.mixture.linear import Networks
from rosetta_scaling.companions.mixture.networks import Mixture
from rosetta_scaling.config.companions.mixture import Relu
from rosetta_scaling.store.progress import Reporter

log = logging.getLogger(__name__)

VARIANCE = 0.5 - 0.5 / math.pi  # of relu of a standard normal


def covariance(u: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Covariances (networks, m, n) of neurons u (networks, m, inputs) and v (networks, n, inputs), and their gradient.

    The gradient by u_i is own[i, j] u_i + other[i, j] v_j; own and other (networks, m, n) are returned.
    """
    length_u, length_v = (torch.linalg.vector_norm(w, dim=2).clamp(min=1e-12) for w in (u, v))
    product = length_u[:, :, None] * length_v[:, None]
    cosine = (u @ v.mT / product).clamp(-1, 1)
    sine, rest = (1 - cosine**2).sqrt(), math.pi - torch.arccos(cosine)
    value = product * (sine + rest * cosine - 1) / (2 * math.pi)
    own = (sine - 1) * (length_v[:, None] / length_u[:, :, None]) / (2 * math.pi)
    return value, own, rest / (2 * math.pi)


def correlation(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Pearson's r (networks, m, n) of neurons over all normal inputs: it rises with the angle's cosine, and only so."""
    return covariance(*(torch.nn.functional.normalize(w, dim=2) for w in (u, v)))[0] / VARIANCE


@dataclass(frozen=True)
class Targets:
    """The features of all tasks, task after task."""

    directions: torch.Tensor  # (features, inputs), orthonormal
    amplitudes: torch.Tensor  # (features,): root of the spectrum, in units of the deviation of relu
    frequencies: torch.Tensor  # (features,): of the task of each

    @classmethod
    def of(cls, mixture: Mixture, inputs: int, seed: int, device: torch.device | str = "cpu") -> "Targets":
        """The features of a mixture along random orthonormal directions."""
        generator = torch.Generator().manual_seed(seed)
        square = torch.randn(inputs, inputs, generator=generator, dtype=torch.float64)
        spectrum = torch.from_numpy(mixture.spectra).flatten()
        frequencies = torch.from_numpy(mixture.frequencies).repeat_interleave(mixture.spectra.shape[1])
        directions = torch.linalg.qr(square).Q.T[: len(spectrum)]
        values = (directions, (spectrum / VARIANCE).sqrt(), frequencies)
        return cls(*(value.float().contiguous().to(device) for value in values))


def loss_and_gradient(networks: Networks, targets: Targets) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Losses of every feature's output (networks, features), and the gradients of the total by encoder and decoder.

    The total is the sum over features of frequency times loss, so it is 1 for networks that have learned nothing.
    """
    u, d, width = networks.encoder, networks.decoder, networks.encoder.shape[1]
    all_neurons = torch.cat([u, targets.directions.expand(len(u), -1, -1)], 1)  # its own, then those of the features
    value, own, other = covariance(u, all_neurons)  # (networks, width, width + features)
    moved, told = d @ value[:, :, :width], targets.amplitudes[:, None] * value[:, :, width:].mT
    losses = VARIANCE * targets.amplitudes**2 + (d * (moved - 2 * told)).sum(2)
    twice = 2 * targets.frequencies[:, None]
    weighted, to_decoder = twice * d, twice * (moved - told)
    # How the total changes with each covariance; that of two neurons of the network counts in the rows of both.
    slopes = torch.cat([d.mT @ weighted, -targets.amplitudes * weighted.mT], 2)
    to_encoder = (slopes * own).sum(2)[:, :, None] * u + (slopes * other) @ all_neurons
    return losses, to_encoder, to_decoder


def train(networks: Networks, targets: Targets, settings: Relu) -> Networks:
    """The networks after Adam on the population loss; the rate is constant at first, then falls to zero."""
    weights = [networks.encoder.clone(), networks.decoder.clone()]
    adam = torch.optim.Adam(weights, fused=True)
    report = Reporter(log, f"width {weights[0].shape[1]}", settings.steps)
    for step in range(settings.steps):
        falling = max(0.0, 2 * step / settings.steps - 1)
        adam.param_groups[0]["lr"] = settings.learning_rate * (1 + math.cos(math.pi * falling)) / 2
        _, weights[0].grad, weights[1].grad = loss_and_gradient(Networks(*weights), targets)
        adam.step()
        report(step + 1)
    return Networks(*(weight.detach() for weight in weights))


def ablation(networks: Networks, targets: Targets) -> torch.Tensor:
    """Increase of the loss of every feature's output when a neuron is removed: (networks, width, features).

    All other weights stay as they are, except the constants of the outputs.
    """
    u, d = networks.encoder, networks.decoder
    inner, *_ = covariance(u, u)
    cross, *_ = covariance(u, targets.directions.expand(len(u), -1, -1))
    own = inner.diagonal(dim1=1, dim2=2)[:, None]
    return (d * (2 * targets.amplitudes[:, None] * cross.mT - 2 * d @ inner + d * own)).mT


def allocation(networks: Networks, targets: Targets, tasks: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss that the removal of a neuron causes, (networks, width), and its shares by task, (networks, width, tasks).

    Losses are weighted by frequency, so they are in units of utilities. Shares of spare neurons are 0.
    """
    lost = targets.frequencies * ablation(networks, targets)
    by_task = lost.unflatten(2, (tasks, -1)).sum(3).clamp(min=0)
    total = by_task.sum(2)
    return total, by_task / total.clamp(min=1e-12)[:, :, None]
