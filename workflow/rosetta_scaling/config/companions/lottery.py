"""The protocol of the lottery-ticket study. It was fixed before any result was seen; the defaults run on two CPU cores.

Liu and Tegmark (arXiv 2310.02258) do not state widths, optimiser, schedule or number of steps. The values here are this
study's own; since exponents depend on the protocol, everything is measured at two training lengths.
"""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.companions.protocol import Protocol
from rosetta_scaling.config.section import Section, Seed

ACTIVATIONS = ("silu", "relu")
TARGETS = ("distinct", "isotropic")  # eigenvalues of the quadratic form
Width = Annotated[int, Field(ge=2, multiple_of=2)]  # an odd neuron has no partner


class Quadratic(Section):
    """The same networks on a quadratic form of several inputs, where neurons of different networks can have different
    directions."""

    dimension: int = Field(8, ge=2)
    """Number of inputs; in few dimensions neurons correlate by chance."""
    eigenvalue_ratio: float = Field(8.0, gt=1)
    """Largest eigenvalue over the smallest; the others are evenly spaced on a log axis. Distinct eigenvalues single out
    directions. The control has equal eigenvalues, for which every rotation of a solution is also a solution."""
    widths: list[Width] = Field([8, 16, 32, 64, 128], min_length=1)
    """Numbers of hidden neurons; below twice the dimension no network has a symmetric pair for every direction."""
    seeds: int = Field(6, ge=3)
    """Networks per width; 6 networks give 15 pairs."""
    steps: int = Field(4_000, ge=10)
    """Optimiser steps; each has new inputs, so that nothing can be memorised."""
    batch: int = Field(128, ge=8)
    """Inputs per step."""
    probe: int = Field(2_048, ge=100)
    """Number of new inputs on which activations are compared."""


class LotterySettings(Protocol):
    """Networks with one hidden layer fitted to y = x^2 on [-2, 2]."""

    widths: list[Width] = [2, 4, 8, 16, 32, 64, 128]
    """Numbers of hidden neurons, from a single pair; each width is twice the one before, so that local slopes are over
    octaves."""
    neurons_per_width: int = Field(768, ge=2)
    """Number of seeds times width. Narrow networks get more seeds, because their losses fall into modes and they are
    cheap."""
    least_seeds: int = Field(24, ge=4)
    """Minimum number of seeds per width; the median of fewer is too uncertain for a slope."""
    most_seeds: int = Field(1_000, ge=4)
    """Maximum number of seeds per width; the paper has 1000."""
    steps: list[Annotated[int, Field(ge=10)]] = [5_000, 20_000]
    """The two training lengths in steps, the shorter first. An exponent that belongs to the task is the same at
    both."""
    points: int = Field(96, ge=8)
    """Number of equally spaced training inputs, all used in every step. A ReLU network with more neurons than inputs
    could memorise them."""
    evaluation_points: int = Field(512, ge=64)
    """Number of inputs between the training inputs, on which losses and ensembles are measured."""
    learning_rate: float = Field(0.01, gt=0)
    """Learning rate of Adam during the first part of training (see `constant`)."""
    final_learning_rate: float = Field(0.0001, gt=0)
    """Learning rate of the last step, reached by exponential decay; noise from large steps would look like a floor of
    the loss."""
    constant: float = Field(0.3, ge=0, lt=1)
    """Share of the steps at the initial learning rate."""
    window: tuple[int, int] = (8, 64)
    """Smallest and largest width of the fitted exponent. At smaller widths the median depends on the share of seeds in
    bad minima, at larger widths on the optimiser. Local slopes are reported at all widths."""
    small_window: tuple[int, int] = (2, 16)
    """Smallest and largest width at which the N^-4 of approximation theory is tested."""
    tolerance: float = Field(0.25, gt=0)
    """Largest distance of an exponent from -1 that is still called near it."""
    small_tolerance: float = Field(0.5, gt=0)
    """Largest distance of a local slope from that of the best piecewise linear function."""
    mode_bandwidth: float = Field(0.1, gt=0)
    """Width, in decades, of the kernel that smooths the losses of the narrowest networks before modes are separated."""
    mode_share: float = Field(0.05, gt=0, lt=1)
    """Minimum share of the seeds in a mode."""
    least_modes: int = Field(3, ge=2)
    """Minimum number of modes for 'discrete peaks'."""
    close: float = Field(0.1, gt=0, lt=1)
    """Two neurons are called alike, and a pair symmetric, if they differ by less than this share of their length."""
    asymmetric: float = Field(1.0, gt=0)
    """Pairs that differ by more than this share of their length are called asymmetric; this is expected of modes that
    are not lottery tickets."""
    ensembles: list[Annotated[int, Field(ge=1)]] = Field([1, 2, 4, 8, 16], min_length=1)
    """Numbers of networks that are averaged; only sizes up to half the number of networks are used."""
    ensemble_draws: int = Field(200, ge=20)
    """Number of random ensembles per size."""
    ensemble_ratio: float = Field(2.0, gt=1)
    """An ensemble is called as good as a single network with as many neurons if their losses differ by less than this
    factor."""
    link_seeds: int = Field(12, ge=3)
    """Number of networks per width that are compared with each other; 12 give 66 pairs."""
    match_r: float = Field(0.9, gt=0, lt=1)
    """Minimum correlation of a mutual best match of activations."""
    bootstrap: int = Field(1_000, ge=100)
    """Number of resamples of the seeds for every interval; the network is the replicate."""
    confidence: float = Field(0.95, gt=0.5, le=0.9999)
    """Confidence level of every interval."""
    elements: int = Field(131_072, ge=1_024)
    """Number of activations computed at once: the default fits a CPU cache, a GPU works best with 10^8. Results do not
    depend on it."""
    quadratic: Quadratic = Quadratic()
    """The networks with several inputs: with one input the activations of all neurons look alike, here they need
    not."""
    seed: Seed = 0
    """Seed of initial values, batches, resamples and nulls."""

    @model_validator(mode="after")
    def _octaves(self) -> Self:
        if self.widths != [2**power for power in range(1, len(self.widths) + 1)]:
            raise ValueError(f"widths are {self.widths}; expected 2, a single pair, and each double the one before")
        if len(self.steps) != 2 or self.steps[0] >= self.steps[1]:
            raise ValueError(f"steps are {self.steps}; expected two training lengths, the shorter one first")
        for name in ("window", "small_window"):
            low, high = getattr(self, name)
            inside = [width for width in self.widths if low <= width <= high]
            if len(inside) < 3:
                raise ValueError(f"{name} is {low} to {high}, which holds the widths {inside}; a fit needs three")
        if self.final_learning_rate > self.learning_rate:
            raise ValueError("final_learning_rate is above learning_rate, from which it falls; lower it")
        return self

    analysis: ClassVar = {
        *("window", "small_window", "tolerance", "small_tolerance", "mode_bandwidth", "mode_share", "least_modes"),
        *("close", "asymmetric", "ensembles", "ensemble_draws", "ensemble_ratio", "link_seeds", "match_r", "bootstrap"),
        *("confidence", "elements"),
    }  # settings on which trained networks do not depend

    @property
    def jobs(self) -> list[str]:
        """Names of the training jobs."""
        square = [f"{activation}-{steps}" for activation in ACTIVATIONS for steps in self.steps]
        return square + [f"quadratic-{activation}" for activation in ACTIVATIONS]

    def operations(self, job: str) -> float:
        """Approximate floating-point operations of a job: 30 per activation with its gradient, 6 per weight."""
        kind, what = job.split("-")
        if kind == "quadratic":
            each = self.quadratic.batch * (30 + 6 * self.quadratic.dimension) * self.quadratic.steps
            return len(TARGETS) * self.quadratic.seeds * sum(self.quadratic.widths) * each
        return int(what) * self.points * 36 * sum(self.seeds(width) * width for width in self.widths)

    def seeds(self, width: int) -> int:
        """Number of networks of a width."""
        return min(max(self.neurons_per_width // width, self.least_seeds), self.most_seeds)

    def within(self, window: tuple[int, int]) -> list[int]:
        """The widths from the first to the second number of a window."""
        return [width for width in self.widths if window[0] <= width <= window[1]]
