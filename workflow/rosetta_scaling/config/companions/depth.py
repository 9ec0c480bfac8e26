"""The protocol of the companion study of inverse depth scaling, fixed before its results were looked at."""

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from rosetta_scaling.config.companions.protocol import Protocol
from rosetta_scaling.config.section import Seed
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS

# Kind of students -> kind of their teacher. Those of `tied_euler` start from their teacher's own steps, made longer.
REGIMES = {"independent": "independent", "tied": "tied", "tied_euler": "tied"}

Depth = Annotated[int, Field(ge=2)]
Steps = Annotated[int, Field(ge=10)]
Dropped = Annotated[int, Field(ge=0)]


class DepthSettings(Protocol):
    """Deep residual teachers, shallower students, and what is read from both; two minutes on two cores."""

    width: int = Field(16, ge=4)
    """Width of the residual stream; in few dimensions neurons correlate by chance."""
    hidden: int = Field(64, ge=4)
    """Neurons per layer; four times the width, as in the paper."""
    teacher_depth: int = Field(64, ge=4)
    """Layers of a teacher; many more than any student has."""
    depths: tuple[Depth, ...] = (2, 4, 8, 16)
    """Layers of the students; all of them are the window of every fit."""
    teachers: int = Field(6, ge=2)
    """Teachers of a kind: the replicate, over which intervals are bootstrapped; the paper has 3."""
    seeds: int = Field(2, ge=2)
    """Students of a teacher at every depth, alike but for their start and the order of their data; pairs of them are
    matched neuron by neuron."""
    pool: int = Field(131_072, ge=256)
    """Inputs whose outputs the teachers compute once, to train on; the loss is measured on others. With 32,768 students
    of 16 layers lost a third more on those: it was raised after the first run, which changed no exponent of the loss by
    more than 0.02."""
    batch: int = Field(64, ge=1)
    """Inputs per step."""
    steps: tuple[Steps, Steps] = (1_000, 4_000)
    """Two lengths of training, the shorter first: an exponent of one length says nothing about where it goes."""
    learning_rate: float = Field(1.2e-2, gt=0)
    """Peak rate of Adam, over the root of the depth; of four rates the best compromise between both kinds of teacher at
    depths 4 and 16, by the loss after 600 steps with another seed."""
    flat: float = Field(0.6, ge=0, le=1)
    """Share of the steps at the peak rate; a straight line down follows."""
    final_rate: float = Field(0.02, gt=0, le=1)
    """Rate of the last step, as a share of the peak."""
    inputs: int = Field(2_048, ge=64)
    """Inputs, none of them in the pool, on which losses, angles and correlations are measured."""
    min_r: float = Field(0.9, gt=0, lt=1)
    """Least correlation of a Rosetta neuron of the students; neurons of untrained ones do not reach it."""
    bootstrap: int = Field(10_000, ge=1_000)
    """Resamples of the teachers, for every interval."""
    shuffles: int = Field(1_000, ge=100)
    """Draws in which matched neurons are dealt anew to each other: a flat matrix of layers with the same margins."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval."""
    exponent_band: float = Field(0.3, gt=0)
    """How far an interval may reach from the exponent of the loss that the paper states (1; 3 when converged)."""
    angle_band: float = Field(0.25, gt=0)
    """The same for the exponent of the step angle (1): an untrained network has 1/2."""
    orthogonal: tuple[float, float] = (0.42, 0.55)
    """Angle between updates, over pi, that is called a right angle."""
    correlated: float = Field(0.37, gt=0, lt=0.5)
    """Angle between updates, over pi, below which they are called correlated."""
    flatness: float = Field(0.1, gt=0, lt=1)
    """Cohen's kappa of the layers of matched neurons, beyond that of untrained networks: above it the matrix is called
    diagonal, within it on either side flat."""
    language_sequences: int = Field(64, ge=1)
    """Sequences of held-out text on which the angles of language models are measured."""
    chinchilla: str | None = None
    """Table (.csv) of published runs for the fit of width and depth, one row each, with columns width, depth,
    parameters, tokens, loss; it is not ours to ship."""
    chinchilla_dropped: tuple[Dropped, ...] = Field((40, 1, 20, 60, 80), min_length=1)
    """Runs of the highest loss that the fit leaves out: first what the paper leaves out, then what it might have."""
    chinchilla_bootstrap: int = Field(200, ge=20)
    """Resamples of the runs; each is a fit of seven parameters."""
    seed: Seed = 0
    """Decides teachers, starts, data and resamples."""

    @model_validator(mode="after")
    def _possible(self):
        if (
            len(set(self.depths)) < MINIMUM_RUNGS
            or list(self.depths) != sorted(set(self.depths))
            or max(self.depths) > self.teacher_depth // 2
        ):
            raise ValueError(
                f"depths is {self.depths}; a fit needs at least {MINIMUM_RUNGS} different ones, from small to large, "
                f"and students at most half as deep as their teachers ({self.teacher_depth})"
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
    }  # settings that trained students do not depend on

    @property
    def jobs(self) -> list[str]:
        """Names of the training jobs, KIND-STEPS; students from Euler's steps are trained long only."""
        return [
            f"{regime}-{steps}" for steps in self.steps[::-1] for regime in REGIMES
            if regime != "tied_euler" or steps == self.steps[-1]
        ]  # fmt: skip

    def operations(self, job: str) -> float:
        """Floating-point operations of a job: 12 for each pair of weights and input trained on, 4 for one computed."""
        layer, students = self.width * self.hidden, self.teachers * self.seeds
        trained = 12 * int(job.split("-")[1]) * self.batch * students * sum(self.depths) * layer
        return trained + 4 * self.teachers * self.teacher_depth * self.pool * layer
