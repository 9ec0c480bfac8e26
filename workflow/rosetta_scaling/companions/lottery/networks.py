"""Networks with one hidden layer, many seeds trained at once: f(x) = sum_i v_i act(w_i . x + b_i) + c.

All parameters of a network lie in one row, so that a step of Adam is one operation on one tensor. Gradients are written
out, which takes a third of the time of autograd. Losses are summed over seeds and Adam treats every parameter
separately, so seeds do not influence each other.

After Liu and Tegmark, "A Neural Scaling Law from Lottery Ticket Ensembling" (arXiv 2310.02258).
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from rosetta_scaling.companions.lottery.results import midpoints, watched_steps
from rosetta_scaling.config.companions.lottery import LotterySettings
from rosetta_scaling.store.tensors import write_tensors


def with_constant(x: np.ndarray) -> torch.Tensor:
    """Inputs (points, inputs) with a column of ones for the biases, float32."""
    return torch.as_tensor(np.column_stack([x, np.ones(len(x))]), dtype=torch.float32)


class Networks:
    """Networks of one width: `values` (seeds, parameters) and its parts, which share its memory."""

    def __init__(self, values: torch.Tensor, width: int, activation: str):
        seeds, self.width, self.activation = len(values), width, activation
        self.values = values
        *_, self.offset = parts = values.split([values.shape[1] - width - 1, width, 1], dim=1)
        self.hidden = parts[0].view(seeds, width, -1)  # (seeds, width, inputs + 1): weights and bias of every neuron
        self.out = parts[1]  # (seeds, width)

    def neurons(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Activations and their slopes (seeds, width, points) at inputs x (points, inputs + 1)."""
        seeds = len(self.values)
        z = (self.hidden.reshape(seeds * self.width, -1) @ x.T).view(seeds, self.width, -1)
        if self.activation == "relu":
            value = z.clamp_(min=0)
            return value, value.sign()
        gate = z.sigmoid()
        value = z.mul_(gate)
        return value, torch.addcmul(gate, value, 1 - gate)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (seeds, points)."""
        return (self.out[:, None] @ self.neurons(x)[0])[:, 0] + self.offset

    def gradient(self, x: torch.Tensor, y: torch.Tensor, into: "Networks") -> None:
        """The gradient of the sum over seeds of the mean squared error, written to the values of `into`."""
        value, slope = self.neurons(x)
        error = (self.out[:, None] @ value)[:, 0] + self.offset - y
        error *= 2 / len(y)
        into.out.copy_((value @ error[..., None])[..., 0])
        into.hidden.copy_((slope @ (error[..., None] * x)) * self.out[..., None])
        into.offset.copy_(error.sum(1, keepdim=True))


def initial_values(settings: LotterySettings, width: int, inputs: int, seeds: int) -> torch.Tensor:
    """Parameters (seeds, parameters), initialised as in torch's Linear; those of a seed do not depend on their number.

    Both activations, all training lengths and all targets start from the same networks.
    """
    bound = np.full(width * (inputs + 2) + 1, width**-0.5)
    bound[: width * (inputs + 1)] = inputs**-0.5
    rows = [np.random.default_rng([settings.seed, inputs, width, seed]).uniform(-bound, bound) for seed in range(seeds)]
    return torch.as_tensor(np.stack(rows), dtype=torch.float32)


def learning_rates(settings: LotterySettings, steps: int) -> np.ndarray:
    """Learning rate (steps,) of every step: constant at first, then falling exponentially until the last step."""
    begin = settings.constant * steps
    share = np.clip((np.arange(1, steps + 1) - begin) / (steps - begin), 0, 1)
    return settings.learning_rate * (settings.final_learning_rate / settings.learning_rate) ** share


@torch.no_grad()
def train(
    networks: Networks,
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    rates: np.ndarray,
    watched: Sequence[int] = (),
) -> list[torch.Tensor]:
    """Adam in place, one step per rate, on batches of inputs and targets.

    Returns the mean squared error (seeds,) on its batch before every step in `watched`, counted from 1.
    """
    losses = []
    gradient = Networks(torch.zeros_like(networks.values), networks.width, networks.activation)
    weights = networks.values.detach()  # the same memory
    weights.grad = gradient.values
    adam = torch.optim.Adam([weights], fused=True)
    for step, (rate, (x, y)) in enumerate(zip(rates.tolist(), batches, strict=False), 1):
        if step in watched:
            losses.append(((networks(x) - y) ** 2).mean(1).cpu())
        networks.gradient(x, y, gradient)
        adam.param_groups[0]["lr"] = rate
        adam.step()
    return losses


@torch.no_grad()
def train_square(
    settings: LotterySettings, activation: str, steps: int, width: int, *, device: torch.device
) -> dict[str, torch.Tensor]:
    """Train every seed of a width on y = x^2, as many at once as `elements` allows.

    Returns these tensors:

    hidden (seeds, width, 2), out (seeds, width), offset (seeds, 1)     w and b, v, c after training
    initial_hidden, initial_out, initial_offset                         the same before
    outputs (seeds, evaluation_points)                                  f after training
    train (seeds,)                                                      mean squared error on the training inputs
    """
    train_x, grid_x = (midpoints(n)[:, None] for n in (settings.points, settings.evaluation_points))
    y = torch.as_tensor(train_x[:, 0] ** 2, dtype=torch.float32, device=device)
    x, grid = with_constant(train_x).to(device), with_constant(grid_x).to(device)
    start, rates = initial_values(settings, width, 1, settings.seeds(width)), learning_rates(settings, steps)
    values, outputs, losses, curves = [], [], [], []
    for part in start.split(max(1, settings.elements // (width * settings.points))):
        networks = Networks(part.to(device, copy=True), width, activation)
        curves.append(torch.stack(train(networks, itertools.repeat((x, y)), rates, watched_steps(steps)), 1))
        values.append(networks.values.cpu())
        outputs.append(networks(grid).cpu())
        losses.append(((networks(x) - y) ** 2).mean(1).cpu())
    done, before = Networks(torch.cat(values), width, activation), Networks(start, width, activation)
    found = {"hidden": done.hidden, "out": done.out, "offset": done.offset, "initial_hidden": before.hidden}
    found |= {"initial_out": before.out, "initial_offset": before.offset}
    return found | {"outputs": torch.cat(outputs), "train": torch.cat(losses), "curve": torch.cat(curves)}


def square_job(
    settings: LotterySettings, activation: str, steps: int, *, device: torch.device, path: str | Path
) -> None:
    """Train all widths with one activation for one length; tensors are named WIDTH.NAME (see train_square)."""
    tensors: dict[str, torch.Tensor] = {}
    for width in settings.widths:
        found = train_square(settings, activation, steps, width, device=device)
        tensors |= {f"{width}.{name}": value for name, value in found.items()}
    write_tensors(path, tensors, {"activation": activation, "steps": str(steps)})
