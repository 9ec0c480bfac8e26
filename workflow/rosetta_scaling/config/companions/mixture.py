"""The protocol of the companion study of capacity, interference and rare tasks (arXiv 2605.29548).

The defaults were fixed before any result was seen. They take two minutes on two cores.
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
    """Number of tasks in the mixture; the last one is the rare task."""
    features: int = Field(4, ge=1)
    """Number of features per task; all tasks together need tasks.count * tasks.features neurons."""
    ratio: float = Field(0.6, gt=0, lt=1)
    """Frequency of a task divided by that of the task before, so that no two tasks are equally frequent."""
    decays: list[float] = Field([1.5, 0.4], min_length=1)
    """The spectrum of a task is j**-decay, and the tasks take these decays in turn. Simple and complex tasks alternate,
    so that the order of utilities differs from the order of frequencies."""
    inputs: int = Field(32, ge=1)
    """Number of inputs of the networks; larger than the number of features, so that networks have to find them."""
    tie: float = Field(0.02, ge=0, lt=1)
    """Relative difference of the utilities on both sides of a width below which they count as a tie; claims then do not
    ask which feature is kept."""

    @property
    def total(self) -> int:
        """Number of features of all tasks."""
        return self.count * self.features

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.inputs < self.total:
            raise ValueError(f"tasks.inputs is {self.inputs}; {self.total} orthogonal features need as many inputs")
        return self


class Law(Section):
    exponents: list[tuple[float, float]] = Field([(1.3, 2.0), (1.5, 3.0), (3.0, 2.0)], min_length=1)
    """Pairs (a, b) of the frequencies k**-a and spectra j**-b of infinite mixtures, whose optimum falls with
    width**(1 - min(a, b)). (a, b) and (b, a) give the same law; with a = b there is an additional logarithm, so that no
    window shows a power law."""
    window: tuple[float, float] = (1e3, 1e6)
    """Smallest and largest width of the fit, which starts where the smaller term of the closed form is negligible."""
    points: int = Field(13, ge=3)
    """Number of widths in the window, evenly spaced on a log axis."""
    tolerance: float = Field(0.03, gt=0)
    """Largest distance of a fitted exponent from min(a, b) - 1."""
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
    """Networks per width, with different initial weights; they are the replicates of the bootstrap."""
    steps: int = Field(20_000, ge=1)
    """Steps of gradient descent on the population loss; rare features need many, since they grow in proportion to their
    frequency."""
    learning_rate: float = Field(0.3, gt=0)
    """Constant learning rate; for a total utility of 1 the stability limit is near 1."""
    tolerance: float = Field(0.01, gt=0)
    """Largest excess of a loss over the optimum, as a share of the optimum, or of the smallest utility where the
    optimum is 0."""
    kept: float = Field(0.95, gt=0.5, lt=1)
    """Minimum share of the energy of the most useful features in the span of the encoder."""


class Retention(Section):
    widths: list[int] = [2, 4, 8, 12, 16, 18, 20, 22, 24, 28, 32, 40]
    """Widths of the linear encoder, close together around the number of features."""
    seeds: int = Field(8, ge=2)
    """Networks per width; they are the replicates."""
    batch: int = Field(32, ge=1)
    """New inputs per step; the gradient noise of small batches can erase features."""
    learning_rate: float = Field(0.1, gt=0)
    """Constant learning rate in all three phases."""
    common: int = Field(4000, ge=1)
    """Steps of the first phase, on all tasks except the rare one."""
    burst: int = Field(400, ge=1)
    """Steps of the second phase, on the rare task alone; enough for every width to learn what it can hold."""
    again: int = Field(2000, ge=1)
    """Steps of the third phase, on the common tasks, where the decoder of the rare task has no gradient."""
    probe: int = Field(50, ge=1)
    """Steps after the second phase at which forgetting is first measured."""
    kept: float = Field(0.9, gt=0.5, lt=1)
    """Minimum share of the energy of the rare task that is left if it survives; if it does not, at most 1 - kept is
    left."""


class Injection(Section):
    widths: list[int] = [4, 8, 12, 16, 20, 24, 32]
    """Widths of the linear encoder."""
    seeds: int = Field(4, ge=2)
    """Networks per width and gap; they are the replicates."""
    batch: int = Field(32, ge=1)
    """New inputs per step."""
    every: int = Field(10, ge=1)
    """Number of batches per example of the rare task; with 32 examples in a batch, the rare task is 0.3% of the
    data."""
    gaps: list[int] = Field([1, 5, 25], min_length=2)
    """Number of examples of the rare task that are given at once, every gap * every batches; its frequency stays the
    same."""
    learning_rate: float = Field(0.15, gt=0)
    """Constant learning rate. With smaller rates nothing is forgotten during a gap, and all widths behave alike."""
    steps: int = Field(30_000, ge=2)
    """Number of batches; measurements use the second half. A first run of 5,000 batches ended before any width had
    learned the rare task, whose features grow by 2 * frequency * root of the spectrum * rate per step; 30,000 batches
    let them grow by a factor of e**16."""


class Relu(Section):
    widths: list[int] = [2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 64, 96]
    """Numbers of hidden neurons; widths above the number of features have more neurons than the tasks need."""
    sets: int = Field(4, ge=2)
    """Number of independent sets of networks. Sets are the replicates, since it takes several networks to call a neuron
    Rosetta."""
    seeds: int = Field(3, ge=2)
    """Networks per set; a neuron is Rosetta if it has a partner in every other network of the set."""
    steps: int = Field(3000, ge=1)
    """Steps of Adam on the population loss; without sampled data, networks differ only by their initial weights."""
    learning_rate: float = Field(0.03, gt=0)
    """Peak learning rate; it is constant in the first half of the steps and then falls to zero as a cosine."""
    least_r: float = Field(0.9, gt=0, lt=1)
    """Minimum correlation of matched neurons, and of a neuron with the feature that it represents."""
    kept: float = Field(0.9, gt=0.5, lt=1)
    """Minimum share of the most useful features among those that neurons represent."""
    factor: float = Field(1.25, gt=1)
    """Largest factor between the predicted and the measured width at which half of a task's features are Rosetta."""
    slope: float = Field(0.2, gt=0)
    """Largest distance of the exponent of the Rosetta count from 1 at widths up to the number of features, and from 0
    at widths from there on."""


class MixtureSettings(Protocol):
    """All settings of the study of capacity, interference and rare tasks."""

    tasks: Tasks = Tasks()
    law: Law = Law()
    population: Population = Population()
    retention: Retention = Retention()
    injection: Injection = Injection()
    relu: Relu = Relu()
    trend: float = Field(0.9, gt=0, lt=1)
    """Rank correlation with width above which a quantity is said to rise, or below minus which it is said to fall."""
    confidence: float = Field(0.95, gt=0, le=0.9999)
    """Confidence level of the bootstrap intervals over seeds or sets."""
    resamples: int = Field(2000, ge=100)
    """Number of resamples of the bootstrap."""
    seed: Seed = 0
    """Seed of all initial weights, inputs and resamples."""

    jobs: ClassVar = ("population", "retention", "injection", "rosetta")  # names of the training jobs
    analysis: ClassVar = {
        **dict.fromkeys(("law", "trend", "confidence", "resamples"), True),
        "tasks": {"tie"},
        "population": {"tolerance", "kept"},
        "retention": {"kept"},
        "relu": {"kept", "factor", "slope"},
    }  # settings on which trained networks do not depend

    def operations(self, job: str) -> float:
        """Floating-point operations of a job: 12 per input, feature, neuron and step."""
        experiment = self.relu if job == "rosetta" else getattr(self, job)
        networks = experiment.seeds * {"rosetta": self.relu.sets, "injection": len(self.injection.gaps)}.get(job, 1)
        phases = self.retention
        steps = phases.common + phases.burst + phases.again if job == "retention" else experiment.steps
        return 12 * self.tasks.inputs * self.tasks.total * networks * steps * sum(experiment.widths)

    @model_validator(mode="after")
    def _possible(self) -> Self:
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
            raise ValueError(f"retention.probe is {self.retention.probe}; expected fewer steps than retention.again")
        if self.injection.batch < max(self.injection.gaps):
            raise ValueError(
                f"injection.gaps is {self.injection.gaps}; a batch holds {self.injection.batch} examples at most"
            )
        if self.injection.steps < 4 * self.injection.every * max(self.injection.gaps):
            raise ValueError("injection.steps is too small for two injections of the largest gap in its second half")
        return self
