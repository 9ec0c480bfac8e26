"""Residual networks that imitate deeper ones: teachers, students, and their training, many networks at once.

The toy model of Liu et al. 2026 (arXiv 2602.05970): a layer adds down @ relu(up @ rms(x) + bias)^2 to x. A teacher is
`tied` when all its layers are one layer, so that it follows a smooth flow in small steps, and `independent` when each
has weights of its own. A student learns its teacher's outputs with far fewer layers. All networks of one depth are
trained in one batch; Adam treats every weight separately, so they do not influence each other.
"""

import logging
from typing import NamedTuple

import torch

from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.numerics.seeds import generator
from rosetta_scaling.store import progress

log = logging.getLogger(__name__)


class Stack(NamedTuple):
    """Weights of several networks of one depth."""

    up: torch.Tensor  # (layers, networks, width, hidden)
    bias: torch.Tensor  # (layers, networks, 1, hidden)
    down: torch.Tensor  # (layers, networks, hidden, width)

    def to(self, device: torch.device) -> "Stack":
        """The same weights on a device."""
        return Stack(*(weights.to(device) for weights in self))

    def one(self, network: int) -> "Stack":
        """One of the networks, as a stack of its own."""
        return Stack(*(weights[:, network : network + 1] for weights in self))


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    """x (..., width) with a mean square of 1."""
    return x * x.square().mean(-1, keepdim=True).rsqrt()


def run(stack: Stack, inputs: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Hidden states (networks, inputs, width), those before the first layer too, and neurons (networks, inputs, hidden)
    of every layer; `inputs` are (inputs, width), or (networks, inputs, width) where every network has its own.
    """
    states, neurons = [rms_norm(inputs).expand(stack.up.shape[1], -1, -1)], []
    for up, bias, down in zip(*(weights.unbind() for weights in stack), strict=True):
        neurons.append(torch.baddbmm(bias, rms_norm(states[-1]), up).relu().square())
        states.append(torch.baddbmm(states[-1], neurons[-1], down))
    return states, neurons


def output(stack: Stack, inputs: torch.Tensor) -> torch.Tensor:
    """Outputs of the networks: the last hidden state, normalised, (networks, inputs, width)."""
    state = rms_norm(inputs).expand(stack.up.shape[1], -1, -1)
    for up, bias, down in zip(*(weights.unbind() for weights in stack), strict=True):  # keeps no states
        state = torch.baddbmm(state, torch.baddbmm(bias, rms_norm(state), up).relu().square(), down)
    return rms_norm(state)


def new_stack(layers: int, networks: int, settings: DepthSettings, random: torch.Generator) -> Stack:
    """Weights as torch initialises linear maps: uniform within 1 / sqrt(inputs of the map)."""
    width, hidden = settings.width, settings.hidden

    def uniform(rows: int, columns: int, inputs: int) -> torch.Tensor:
        return (2 * torch.rand(layers, networks, rows, columns, generator=random) - 1) / inputs**0.5

    return Stack(uniform(width, hidden, width), uniform(1, hidden, width), uniform(hidden, width, hidden))


def new_teachers(kind: str, settings: DepthSettings) -> Stack:
    """Teachers `tied` or `independent`: down-projections are divided by the root of the depth, as in the paper."""
    depth = settings.teacher_depth
    stack = new_stack(
        1 if kind == "tied" else depth, settings.teachers, settings, generator(settings.seed, "teachers", kind)
    )
    up, bias, down = (weights.expand(depth, -1, -1, -1) for weights in stack)
    return Stack(up, bias, down / depth**0.5)


def euler_steps(teachers: Stack, depth: int) -> Stack:
    """The flow of tied teachers in fewer, longer steps of Euler's method."""
    longer = len(teachers.up) / depth
    return Stack(teachers.up[:depth], teachers.bias[:depth], teachers.down[:depth] * longer)


def seeds_of(regime: str, settings: DepthSettings) -> int:
    """Students per teacher; those that start from its steps differ only by their data, so one is enough."""
    return 1 if regime == "tied_euler" else settings.seeds


def untrained_students(regime: str, depth: int, settings: DepthSettings) -> Stack:
    """The control: students with random down-projections, on the scale of the teachers.

    Networks are in the order of teachers, then seeds.
    """
    networks = settings.teachers * seeds_of(regime, settings)
    up, bias, down = new_stack(depth, networks, settings, generator(settings.seed, "students", regime, depth))
    return Stack(up, bias, down / depth**0.5)


def new_students(regime: str, depth: int, teachers: Stack, settings: DepthSettings) -> Stack:
    """Students before training: the identity (down-projections of zero), or Euler's steps of their teachers."""
    if regime == "tied_euler":
        return euler_steps(teachers, depth)
    up, bias, down = untrained_students(regime, depth, settings)
    return Stack(up, bias, torch.zeros_like(down))


def learning_rate(step: int, steps: int, depth: int, settings: DepthSettings) -> float:
    """Learning rate of a step: constant, then falling linearly to a share of the peak."""
    falling = max(0.0, step / max(1, steps - 1) - settings.flat) / max(1e-9, 1 - settings.flat)
    return settings.learning_rate / depth**0.5 * (1 - (1 - settings.final_rate) * falling)


def imitate(
    students: Stack, inputs: torch.Tensor, targets: torch.Tensor, steps: int, *, settings: DepthSettings, name: str
) -> Stack:
    """Students after `steps` of Adam on the mean squared difference between their outputs and their teachers'.

    `inputs` (pool, width) and `targets` (teachers, pool, width) are on the device that does the work. Every student has
    its own batches, from a generator seeded by `name`.
    """
    device, depth, networks = inputs.device, *students.up.shape[:2]
    teacher = torch.arange(networks, device=device)[:, None] // (networks // len(targets))
    stack = Stack(*(weights.to(device).clone().requires_grad_() for weights in students))
    optimiser = torch.optim.Adam(stack, fused=True)
    random, report = generator(settings.seed, "batches", name), progress.Reporter(log, name, steps, 0)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps, depth, settings)
        batch = torch.randint(len(inputs), (networks, settings.batch), generator=random).to(device)
        made = rms_norm(run(stack, inputs[batch])[0][-1])
        optimiser.zero_grad()
        (made - targets[teacher, batch]).square().mean((1, 2)).sum().backward()
        optimiser.step()
        report(step + 1, f"depth {depth}")
    return Stack(*(weights.detach() for weights in stack))


def draw_inputs(count: int, settings: DepthSettings, name: str) -> torch.Tensor:
    """Gaussian inputs (count, width)."""
    return torch.randn(count, settings.width, generator=generator(settings.seed, "inputs", name))
