"""The networks of networks.py on quadratic forms of several inputs, where neurons have directions.

In one dimension all smooth curves correlate, trained or not. Here the target is y = sum_k l_k (u_k . x)^2 minus its
mean, scaled to variance 1, for inputs x ~ N(0, I). With `distinct` eigenvalues l_k every eigenvector u_k is a direction
of its own; with `isotropic` eigenvalues all directions are equivalent, so two networks have no reason to agree on them.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from rosetta_scaling.companions.lottery.networks import Networks, initial_values, learning_rates, train, with_constant
from rosetta_scaling.config.companions.lottery import TARGETS, LotterySettings
from rosetta_scaling.store.tensors import write_tensors


def quadratic_form(settings: LotterySettings, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (dimension,), descending, and eigenvectors (dimension, dimension) as columns, the same for both."""
    asked = settings.quadratic
    ratio = asked.eigenvalue_ratio if target == "distinct" else 1.0
    values = np.geomspace(ratio, 1, asked.dimension)
    values /= np.sqrt(2 * (values**2).sum())  # the variance of x^2 is 2
    rng = np.random.default_rng([settings.seed, asked.dimension])
    vectors, upper = np.linalg.qr(rng.standard_normal((asked.dimension, asked.dimension)))
    return values, vectors * np.sign(np.diag(upper))  # with these signs every rotation is equally likely


def sampled(form: tuple[np.ndarray, np.ndarray], rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, dimension) and targets (n,) of a quadratic form."""
    values, vectors = form
    x = rng.standard_normal((n, len(values)))
    return x, ((x @ vectors) ** 2 - 1) @ values


def batches(
    settings: LotterySettings, target: str, width: int, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless new batches. All seeds of a width get the same batches, so they differ only by their initial values."""
    form, rng = quadratic_form(settings, target), np.random.default_rng([settings.seed, width, 1])
    while True:
        x, y = sampled(form, rng, settings.quadratic.batch)
        yield with_constant(x).to(device), torch.as_tensor(y, dtype=torch.float32, device=device)


@torch.no_grad()
def train_quadratic(
    settings: LotterySettings, activation: str, target: str, width: int, *, device: torch.device
) -> dict[str, torch.Tensor]:
    """Train every seed of a width: hidden and initial_hidden (seeds, width, inputs + 1), out (seeds, width), and loss
    (seeds,), the mean squared error on the probe; a constant function has 1."""
    asked = settings.quadratic
    probe, wanted = sampled(quadratic_form(settings, target), probe_generator(settings), asked.probe)
    x, y = with_constant(probe).to(device), torch.as_tensor(wanted, dtype=torch.float32, device=device)
    start = initial_values(settings, width, asked.dimension, asked.seeds)
    values, losses = [], []
    for part in start.split(max(1, settings.elements // (width * asked.batch))):
        networks = Networks(part.to(device, copy=True), width, activation)
        train(networks, batches(settings, target, width, device), learning_rates(settings, asked.steps))
        values.append(networks.values.cpu())
        losses.append(((networks(x) - y) ** 2).mean(1).cpu())
    done, before = Networks(torch.cat(values), width, activation), Networks(start, width, activation)
    return {"hidden": done.hidden, "out": done.out, "initial_hidden": before.hidden, "loss": torch.cat(losses)}


def probe_generator(settings: LotterySettings) -> np.random.Generator:
    """A generator that draws the same probe in every job; training draws other inputs."""
    return np.random.default_rng([settings.seed, 0, 2])


def quadratic_job(settings: LotterySettings, activation: str, device: torch.device, path: str | Path) -> None:
    """Train all widths on both targets; tensors are named TARGET.WIDTH.NAME, beside `probe` (inputs of the probe)."""
    probe, _ = sampled(quadratic_form(settings, TARGETS[0]), probe_generator(settings), settings.quadratic.probe)
    tensors = {"probe": torch.as_tensor(probe, dtype=torch.float32)}
    for target in TARGETS:
        for width in settings.quadratic.widths:
            found = train_quadratic(settings, activation, target, width, device=device)
            tensors |= {f"{target}.{width}.{name}": value for name, value in found.items()}
    write_tensors(path, tensors, {"activation": activation})
