"""Protocol of the companion study of capacity, interference and rare tasks (arXiv 2605.29548).

The defaults were fixed before any result of this study was looked at. Networks this small take two minutes on two
cores; a larger configuration changes numbers only.
"""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.companions.protocol import Protocol
from rosetta_scaling.config.section import Section, Seed

SMALLEST = 3  # widths that a trend over widths needs
WIDEST = 1e7  # the closed form of an endless mixture lists one number per task, a few times the width of them
STEEPEST = 20  # what wide networks of steeper laws leave out is too small for a floating-point number


class Tasks(Section):
    count: int = Field(6, ge=2)
    """Tasks of the mixture; the last one is the rare one."""
    features: int = Field(4, ge=1)
    """Features of every task, so that all of them need tasks.count * tasks.features neurons."""
    ratio: float = Field(0.6, gt=0, lt=1)
    """Frequency of a task over that of the one before: no two are equally frequent."""
    decays: list[float] = Field([1.5, 0.4], min_length=1)
    """Task k has a spectrum j**-decay, by turns: simple and complex tasks alternate, so that the order of utilities is
    not the order of frequencies."""
    inputs: int = Field(32, ge=1)
    """Inputs of the networks; more than features, so that networks have to find them."""
    tie: float = Field(0.02, ge=0, lt=1)
    """Where the utilities on both sides of a width differ by less than this share, which one is kept is not judged."""

    @property
    def total(self) -> int:
        return self.count * self.features

    @model_validator(mode="after")
    def _room(self):
        if self.inputs < self.total:
            raise ValueError(f"tasks.inputs is {self.inputs}; {self.total} orthogonal features need as many")
        return self


class Law(Section):
    exponents: list[tuple[float, float]] = Field([(1.3, 2.0), (1.5, 3.0), (3.0, 2.0)], min_length=1)
    """Frequencies k**-a and spectra j**-b of endless mixtures, whose optimum falls with width**(1 - min(a, b)). (a, b)
    and (b, a) are the same law; pairs with a = b have a logarithm on top, and are no power laws in any window."""
    window: tuple[float, float] = (1e3, 1e6)
    """Widths of the fit. It begins where the smaller term of the closed form has become small."""
    points: int = Field(13, ge=3)
    """Widths in the window, evenly on a log axis."""
    tolerance: float = Field(0.03, gt=0)
    """How close to min(a, b) - 1 a fitted exponent has to be."""
    alpha: float = Field(0.46, gt=0, le=STEEPEST)
    """Exponent of model size in L0 + A N**-alpha + B D**-beta, as the paper quotes it."""
    beta: float = Field(0.51, gt=0, le=STEEPEST)
    """Exponent of data in the same law."""
    gamma: float = Field(0.34, gt=0)
    """Exponent of the compute-optimal loss against model size, as the paper quotes it; the law implies another one."""

    @model_validator(mode="after")
    def _can_be_fitted(self) -> Self:
        low, high = self.window
        if not 1 <= low < high <= WIDEST:
            raise ValueError(
                f"law.window is {self.window}; expected two widths from 1 to {WIDEST:.0e}, the smaller first"
            )
        if not all(1 < exponent <= STEEPEST for pair in self.exponents for exponent in pair):
            raise ValueError(f"law.exponents is {self.exponents}; expected exponents above 1, and {STEEPEST} at most")
        return self


class Population(Section):
    widths: list[int] = [2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 32]
    """Widths of the linear encoder."""
    seeds: int = Field(8, ge=2)
    """Starts per width; they are the replicates of the bootstrap."""
    steps: int = Field(20_000, ge=1)
    """Steps of gradient descent on the population loss: rare features grow at a rate of their frequency."""
    learning_rate: float = Field(0.3, gt=0)
    """Constant; the stability limit is near 1 for a total utility of 1."""
    tolerance: float = Field(0.01, gt=0)
    """How close to the optimum a loss has to come, as a share of it (of the least utility where the optimum is 0)."""
    kept: float = Field(0.95, gt=0.5, lt=1)
    """Energy of the most useful features that has to lie in the span."""


class Retention(Section):
    widths: list[int] = [2, 4, 8, 12, 16, 18, 20, 22, 24, 28, 32, 40]
    """Widths of the linear encoder, close together around the number of features."""
    seeds: int = Field(8, ge=2)
    """Replicates per width."""
    batch: int = Field(32, ge=1)
    """Fresh inputs per step: noise of the gradients is what can wash features away."""
    learning_rate: float = Field(0.1, gt=0)
    """Constant, of all three phases."""
    common: int = Field(4000, ge=1)
    """Steps on all tasks but the rare one."""
    burst: int = Field(400, ge=1)
    """Steps on the rare task alone afterwards: enough for any width to learn what fits into it."""
    again: int = Field(2000, ge=1)
    """Steps on the common tasks after that; the decoder of the rare task has no gradient there."""
    probe: int = Field(50, ge=1)
    """Steps after the burst at which forgetting is looked at a first time."""
    kept: float = Field(0.9, gt=0.5, lt=1)
    """Energy of the rare task that has to be left where it survives; where it does not, at most 1 - kept is."""


class Injection(Section):
    widths: list[int] = [4, 8, 12, 16, 20, 24, 32]
    """Widths of the linear encoder."""
    seeds: int = Field(4, ge=2)
    """Replicates per width and gap."""
    batch: int = Field(32, ge=1)
    """Fresh inputs per step."""
    every: int = Field(10, ge=1)
    """Batches per example of the rare task: with 32 examples in a batch, 0.3% of the data."""
    gaps: list[int] = Field([1, 5, 25], min_length=2)
    """Examples of the rare task that come at once, every gap * every batches: its frequency stays the same."""
    learning_rate: float = Field(0.15, gt=0)
    """Constant. With smaller ones a gap is too short to forget in, and no width differs from another."""
    steps: int = Field(30_000, ge=2)
    """Batches; measured over the second half of them. A first run of 5,000 ended before any width had learned the rare
    task, whose features grow by 2 * frequency * root of the spectrum * rate a step: these are 16 foldings by e."""


class Relu(Section):
    widths: list[int] = [2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 64, 96]
    """Hidden neurons; past the number of features there are more than the tasks need."""
    sets: int = Field(4, ge=2)
    """Independent sets of networks: they are the replicates, since a neuron is Rosetta only among several networks."""
    seeds: int = Field(3, ge=2)
    """Networks in a set; a neuron is Rosetta when it has a partner in every other one."""
    steps: int = Field(3000, ge=1)
    """Steps of Adam on the population loss: there are no data, so networks differ in their first weights only."""
    learning_rate: float = Field(0.03, gt=0)
    """Peak, constant for the first half and then falling to zero as a cosine."""
    least_r: float = Field(0.9, gt=0, lt=1)
    """Correlation of mutual best partners that counts as a match, and of a neuron with the feature that it is."""
    kept: float = Field(0.9, gt=0.5, lt=1)
    """Share of the features found by neurons that have to be among the most useful ones."""
    factor: float = Field(1.25, gt=1)
    """How far from the predicted one, as a factor, the width may be at which half of a task's features are Rosetta."""
    slope: float = Field(0.2, gt=0)
    """How far from 1 an exponent of the Rosetta count may be at widths up to the number of features, and how far from 0
    at that width and beyond."""


class MixtureSettings(Protocol):
    """Capacity, interference and rare tasks: everything that the results depend on."""

    tasks: Tasks = Tasks()
    law: Law = Law()
    population: Population = Population()
    retention: Retention = Retention()
    injection: Injection = Injection()
    relu: Relu = Relu()
    trend: float = Field(0.9, gt=0, lt=1)
    """Rank correlation with width beyond which something is said to rise or fall."""
    confidence: float = Field(0.95, gt=0, lt=1)
    """Of the bootstrap intervals over seeds or sets."""
    resamples: int = Field(2000, ge=100)
    """Of the bootstrap."""
    seed: Seed = 0
    """Decides all initial weights, inputs and resamples."""

    jobs: ClassVar = ("population", "retention", "injection", "rosetta")  # names of the training jobs
    analysis: ClassVar = {
        **dict.fromkeys(("law", "trend", "confidence", "resamples"), True),
        "tasks": {"tie"},
        "population": {"tolerance", "kept"},
        "retention": {"kept"},
        "relu": {"kept", "factor", "slope"},
    }  # settings that trained networks do not depend on

    def operations(self, job: str) -> float:
        """Floating-point operations of a job: 12 for every pair of an input and a feature, neuron and step."""
        experiment = self.relu if job == "rosetta" else getattr(self, job)
        networks = experiment.seeds * {"rosetta": self.relu.sets, "injection": len(self.injection.gaps)}.get(job, 1)
        phases = self.retention
        steps = phases.common + phases.burst + phases.again if job == "retention" else experiment.steps
        return 12 * self.tasks.inputs * self.tasks.total * networks * steps * sum(experiment.widths)

    @model_validator(mode="after")
    def _possible(self):
        for name in ("population", "retention", "injection", "relu"):
            widths = getattr(self, name).widths
            if len(widths) < SMALLEST or sorted(set(widths)) != widths or widths[0] < 1:
                raise ValueError(f"{name}.widths is {widths}; expected {SMALLEST} or more, from small to large")
        total = self.tasks.total
        if sum(width <= total for width in self.relu.widths) < SMALLEST or self.relu.widths[-SMALLEST] < total:
            raise ValueError(
                f"relu.widths is {self.relu.widths}; expected {SMALLEST} up to the number of features, {total}, and "
                f"{SMALLEST} from it on, for the exponents of the Rosetta count"
            )
        if self.retention.widths[0] > total - self.tasks.features or self.retention.widths[-1] < total:
            raise ValueError(
                f"retention.widths is {self.retention.widths}; expected some that the features of the common tasks "
                f"fill ({total - self.tasks.features} or less) and some that hold those of all ({total} or more)"
            )
        gaps = self.injection.gaps
        if gaps != sorted(set(gaps)) or gaps[0] < 1:
            raise ValueError(f"injection.gaps is {gaps}; expected whole numbers above 0, from small to large")
        if self.retention.probe >= self.retention.again:
            raise ValueError(f"retention.probe is {self.retention.probe}; it has to be before retention.again")
        if self.injection.batch < max(self.injection.gaps):
            raise ValueError(
                f"injection.gaps is {self.injection.gaps}; a batch holds {self.injection.batch} examples at most"
            )
        if self.injection.steps < 4 * self.injection.every * max(self.injection.gaps):
            raise ValueError("injection.steps is too small for two injections of the largest gap in its second half")
        return self
