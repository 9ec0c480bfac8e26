"""Protocol of the lottery-ticket study, fixed before its results are looked at. The defaults run on two CPU cores.

Neither widths, optimiser, schedule nor number of steps of Liu and Tegmark (arXiv 2310.02258) are known: what is here is
this study's own choice, and since exponents move with the protocol, everything is measured at two training lengths.
"""

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from rosetta_scaling.config.companions.protocol import Protocol
from rosetta_scaling.config.section import Section

ACTIVATIONS = ("silu", "relu")
TARGETS = ("distinct", "isotropic")  # eigenvalues of the quadratic form
Width = Annotated[int, Field(ge=2, multiple_of=2)]  # an odd neuron has no partner


class Quadratic(Section):
    """The same networks on a quadratic form of several inputs, where directions can differ between networks."""

    dimension: int = Field(8, ge=2)
    """Inputs; in few dimensions neurons correlate by chance."""
    eigenvalue_ratio: float = Field(8.0, gt=1)
    """Largest eigenvalue over the smallest, evenly spaced on a logarithm: distinct ones give every direction a name.
    The control has equal ones, for which every rotation of a solution is a solution."""
    widths: list[Width] = Field([8, 16, 32, 64, 128], min_length=1)
    """Hidden neurons; below twice the dimension no network has a symmetric pair for every direction."""
    seeds: int = Field(6, ge=3)
    """Networks per width: 6 make 15 pairs."""
    steps: int = Field(4_000, ge=10)
    """Optimiser steps, each on new inputs, so that there is nothing to memorise."""
    batch: int = Field(128, ge=8)
    """Inputs per step."""
    probe: int = Field(2_048, ge=100)
    """New inputs on which activations are compared."""


class LotterySettings(Protocol):
    """Networks with one hidden layer fitted to y = x^2 on [-2, 2]."""

    widths: list[Width] = [2, 4, 8, 16, 32, 64, 128]
    """Hidden neurons: 2, a single pair, and each width double the one before, so that local slopes are of octaves."""
    neurons_per_width: int = Field(768, ge=2)
    """Seeds times width: narrow networks are many, since their losses fall into modes, and cost no more."""
    least_seeds: int = Field(24, ge=4)
    """Seeds of a width at least: the median of fewer is too uncertain for a slope."""
    most_seeds: int = Field(1_000, ge=4)
    """Seeds of a width at most; the paper has 1000."""
    steps: list[Annotated[int, Field(ge=10)]] = [5_000, 20_000]
    """The two training lengths, shorter first. An exponent that belongs to the task is the same at both."""
    points: int = Field(96, ge=8)
    """Equally spaced inputs, all of them in every step. Fewer than the neurons of a ReLU network could be memorised."""
    evaluation_points: int = Field(512, ge=64)
    """Inputs between these, on which losses and ensembles are measured."""
    learning_rate: float = Field(0.01, gt=0)
    """Of Adam, until `constant` of the steps are done."""
    final_learning_rate: float = Field(0.0001, gt=0)
    """Reached exponentially at the last step: what noise of large steps leaves in the loss would look like a floor."""
    constant: float = Field(0.3, ge=0, lt=1)
    """Share of the steps before the learning rate falls."""
    window: tuple[int, int] = (8, 64)
    """Smallest and largest width of the fitted exponent. Below, the share of seeds in bad minima sets the median;
    above, optimisation does. Local slopes are reported at all widths."""
    small_window: tuple[int, int] = (2, 16)
    """Widths at which approximation theory is asked for its N^-4."""
    tolerance: float = Field(0.25, gt=0)
    """How far an exponent may be from -1 and still be called near it."""
    small_tolerance: float = Field(0.5, gt=0)
    """How far a local slope may be from that of the best piecewise linear function."""
    mode_bandwidth: float = Field(0.1, gt=0)
    """Decades by which the losses of the narrowest networks are smoothed before their modes are told apart."""
    mode_share: float = Field(0.05, gt=0, lt=1)
    """Share of the seeds that a mode needs to count as one."""
    least_modes: int = Field(3, ge=2)
    """So many modes make a histogram of discrete peaks."""
    close: float = Field(0.1, gt=0, lt=1)
    """Two neurons are called alike, and a pair symmetric, when they differ by less than this share of their length."""
    asymmetric: float = Field(1.0, gt=0)
    """Pairs that differ by more than their length are called asymmetric; the modes that are no tickets should."""
    ensembles: list[Annotated[int, Field(ge=1)]] = Field([1, 2, 4, 8, 16], min_length=1)
    """Networks that are averaged, up to half of those there are."""
    ensemble_draws: int = Field(200, ge=20)
    """Random ensembles of a size."""
    ensemble_ratio: float = Field(2.0, gt=1)
    """An ensemble is as good as a network of as many neurons when their losses are within this factor."""
    link_seeds: int = Field(12, ge=3)
    """Networks of a width that are compared with each other: 12 make 66 pairs."""
    match_r: float = Field(0.9, gt=0, lt=1)
    """Correlation that a mutual best match of activations needs."""
    bootstrap: int = Field(1_000, ge=100)
    """Resamples of the seeds for every interval: the network is the replicate."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval."""
    elements: int = Field(131_072, ge=1_024)
    """Activations worked on at once: what a CPU cache holds (a GPU wants 10^8). Results do not depend on it."""
    quadratic: Quadratic = Quadratic()
    """In one dimension all neurons look alike by their activations; here they need not."""
    seed: int = Field(0, ge=0)
    """Decides initial values, batches, resamples and nulls."""

    @model_validator(mode="after")
    def _octaves(self):
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
            raise ValueError("final_learning_rate is above learning_rate; it has to be reached by a fall")
        return self

    analysis: ClassVar = {
        *("window", "small_window", "tolerance", "small_tolerance", "mode_bandwidth", "mode_share", "least_modes"),
        *("close", "asymmetric", "ensembles", "ensemble_draws", "ensemble_ratio", "link_seeds", "match_r", "bootstrap"),
        *("confidence", "elements"),
    }  # settings that trained networks do not depend on

    @property
    def jobs(self) -> list[str]:
        """Names of the training jobs."""
        square = [f"{activation}-{steps}" for activation in ACTIVATIONS for steps in self.steps]
        return square + [f"quadratic-{activation}" for activation in ACTIVATIONS]

    def operations(self, job: str) -> float:
        """Floating-point operations of a job, roughly: 30 for an activation and its gradient, 6 for each weight."""
        kind, what = job.split("-")
        if kind == "quadratic":
            each = self.quadratic.batch * (30 + 6 * self.quadratic.dimension) * self.quadratic.steps
            return len(TARGETS) * self.quadratic.seeds * sum(self.quadratic.widths) * each
        return int(what) * self.points * 36 * sum(self.seeds(width) * width for width in self.widths)

    def seeds(self, width: int) -> int:
        """Networks of a width."""
        return min(max(self.neurons_per_width // width, self.least_seeds), self.most_seeds)

    def within(self, window: tuple[int, int]) -> list[int]:
        """The widths of a window."""
        return [width for width in self.widths if window[0] <= width <= window[1]]
