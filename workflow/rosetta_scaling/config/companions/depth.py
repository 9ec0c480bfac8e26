"""The protocol of the companion study of inverse depth scaling. It was fixed before any result was seen."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.companions.protocol import Protocol
from rosetta_scaling.config.section import Seed
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS

# Kind of students -> kind of their teachers. Students of kind `tied_euler` start from longer steps of their teacher.
REGIMES = {"independent": "independent", "tied": "tied", "tied_euler": "tied"}

Depth = Annotated[int, Field(ge=2)]
Steps = Annotated[int, Field(ge=10)]
Dropped = Annotated[int, Field(ge=0)]


class DepthSettings(Protocol):
    """Deep residual teachers, shallower students that imitate them, and their analysis; two minutes on two cores."""

    width: int = Field(16, ge=4)
    """Width of the residual stream; in few dimensions neurons correlate by chance."""
    hidden: int = Field(64, ge=4)
    """Neurons per layer; four times the width, as in the paper."""
    teacher_depth: int = Field(64, ge=4)
    """Layers of a teacher; far more than any student has."""
    depths: tuple[Depth, ...] = (2, 4, 8, 16)
    """Layers of the students; every fit uses all of these depths."""
    teachers: int = Field(6, ge=2)
    """Teachers of each kind. They are the replicates that the bootstrap resamples; the paper has 3."""
    seeds: int = Field(2, ge=2)
    """Students per teacher and depth, which differ only by their start and the order of their data; pairs of them are
    matched neuron by neuron."""
    pool: int = Field(131_072, ge=256)
    """Number of training inputs, whose targets the teachers compute once; the loss is measured on other inputs. With
    32,768 inputs, students of 16 layers overfitted: their loss on other inputs was a third higher. The number was
    raised after the first run, which changed no exponent of the loss by more than 0.02."""
    batch: int = Field(64, ge=1)
    """Inputs per step."""
    steps: tuple[Steps, Steps] = (1_000, 4_000)
    """Two lengths of training in steps, the shorter first; one length cannot show whether an exponent still changes."""
    learning_rate: float = Field(1.2e-2, gt=0)
    """Peak learning rate of Adam, which is divided by the root of the depth. Of four rates it was the best compromise
    between both kinds of teacher at depths 4 and 16, by the loss after 600 steps with another seed."""
    flat: float = Field(0.6, ge=0, le=1)
    """Share of the steps at the peak rate; after that the rate falls linearly."""
    final_rate: float = Field(0.02, gt=0, le=1)
    """Learning rate of the last step, as a share of the peak."""
    inputs: int = Field(2_048, ge=64)
    """Number of inputs outside the pool, on which losses, angles and correlations are measured."""
    min_r: float = Field(0.9, gt=0, lt=1)
    """Minimum correlation of a Rosetta neuron of the students; neurons of untrained students do not reach it."""
    bootstrap: int = Field(10_000, ge=1_000)
    """Number of resamples of the teachers, for every interval."""
    shuffles: int = Field(1_000, ge=100)
    """Number of draws in which the partners of matched neurons are shuffled, which gives a flat matrix of layers with
    the same margins."""
    confidence: float = Field(0.95, gt=0.5, le=0.9999)
    """Confidence level of every interval."""
    exponent_band: float = Field(0.3, gt=0)
    """Largest distance of an interval from the exponent of the loss that the paper states (1, or 3 when converged)."""
    angle_band: float = Field(0.25, gt=0)
    """The same for the exponent of the step angle, which is 1 in the paper and 1/2 in an untrained network."""
    orthogonal: tuple[float, float] = (0.42, 0.55)
    """Range of angles between updates, divided by pi, that are called right angles."""
    correlated: float = Field(0.37, gt=0, lt=0.5)
    """Angle between updates, divided by pi, below which they are called correlated."""
    flatness: float = Field(0.1, gt=0, lt=1)
    """Threshold for Cohen's kappa of the layers of matched neurons, minus that of untrained networks: above it the
    matrix of layers is called diagonal; between minus and plus this value it is called flat."""
    language_sequences: int = Field(64, ge=1)
    """Number of sequences of held-out text on which the angles of language models are measured."""
    chinchilla: str | None = None
    """Path of a .csv table of published runs for the fit of width and depth, one row per run, with columns width,
    depth, parameters, tokens and loss. The table cannot be shipped with this project, since others own it."""
    chinchilla_dropped: tuple[Dropped, ...] = Field((40, 1, 20, 60, 80), min_length=1)
    """How many runs of the highest loss the fit leaves out: first the number of the paper, then alternatives."""
    chinchilla_bootstrap: int = Field(200, ge=20)
    """Number of resamples of the runs; each needs a fit of seven parameters."""
    seed: Seed = 0
    """Seed of teachers, starts, data and resamples."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if (
            len(set(self.depths)) < MINIMUM_RUNGS
            or list(self.depths) != sorted(set(self.depths))
            or max(self.depths) > self.teacher_depth // 2
        ):
            raise ValueError(
                f"depths is {self.depths}; a fit needs at least {MINIMUM_RUNGS} different depths, from small to "
                f"large, and students at most half as deep as their teachers ({self.teacher_depth})"
            )
        if self.steps[0] >= self.steps[1]:
            raise ValueError(f"steps is {self.steps}; expected two lengths of training, the shorter first")
        if not 0 <= self.orthogonal[0] < self.orthogonal[1] <= 1:
            raise ValueError(
                f"orthogonal is {self.orthogonal}; expected two angles over pi, from 0 to 1, the smaller first"
            )
        return self

    analysis: ClassVar = {
        *("min_r", "bootstrap", "shuffles", "confidence", "exponent_band", "angle_band", "orthogonal", "correlated"),
        *("flatness", "language_sequences", "chinchilla", "chinchilla_dropped", "chinchilla_bootstrap"),
    }  # settings on which trained students do not depend

    @property
    def jobs(self) -> list[str]:
        """Names of the training jobs, KIND-STEPS; students that start from Euler steps are only trained for the longer
        time."""
        return [
            f"{regime}-{steps}" for steps in self.steps[::-1] for regime in REGIMES
            if regime != "tied_euler" or steps == self.steps[-1]
        ]  # fmt: skip

    def operations(self, job: str) -> float:
        """Floating-point operations of a job: 12 per pair of weights and training input, 4 per pair that is only
        computed."""
        layer, students = self.width * self.hidden, self.teachers * self.seeds
        trained = 12 * int(job.split("-")[1]) * self.batch * students * sum(self.depths) * layer
        return trained + 4 * self.teachers * self.teacher_depth * self.pool * layer
