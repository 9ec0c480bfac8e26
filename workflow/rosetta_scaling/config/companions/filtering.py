"""The protocol of the companion study of data filtering. It was fixed before any result was seen."""

import re
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.companions.protocol import Protocol
from rosetta_scaling.config.section import Name, Section, Seed

Labels = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, le=1)]
MOST_ARMS = 17  # on whose choices networks are trained (see companions/filtering/arms.py), and all data


class Task(Section):
    """A kind of text that is hidden among others."""

    domain: str
    """Domain of the target."""
    path: str = ""
    """Regular expression that is found in the source of every target document; empty takes the whole domain."""
    among: list[str] = Field(min_length=1)
    """Domains of the other documents, in equal parts. With `path`, the domain of the target may be one of them."""
    keywords: str
    """Regular expression of the keyword rule: a document with more matches per byte is better."""

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        for key in ("path", "keywords"):
            try:
                re.compile(getattr(self, key))
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"{key} is {getattr(self, key)!r}, no regular expression ({error})") from None
        if self.domain in self.among and not self.path:
            raise ValueError(f"among names {self.domain!r}, the target itself: give its path, or leave it out")
        return self


PROSE = ["docs", "math", "scripture", "translations"]
TASKS = {
    "code": Task(domain="code", among=[*PROSE, "legal"], keywords=r"\b(def|import|self|return|class|elif)\b"),
    "licences": Task(
        domain="legal", among=[*PROSE, "code"], keywords=r"(?i)\b(licen[cs]e[sde]*|copyright|warranty|herein)\b"
    ),
    "messages": Task(domain="translations", among=["code", "docs", "legal", "math", "scripture"], keywords=r"%[(sd]"),
    "tests": Task(domain="modules", path="/tests/", among=["modules"], keywords=r"\b(assert|raises|test_\w+)\b"),
}


class FilteringSettings(Protocol):
    """One neuron chooses text to train on, beside what people use for that. Needs the networks of the study."""

    tasks: dict[Name, Task] = Field(TASKS, min_length=1)
    """Targets by name; every one has a pool of its own, cut from the text that the study trains on."""
    document_bytes: int = Field(800, ge=100)
    """Documents of the corpus are cut into pieces of at most this size, which are chosen one by one."""
    pool_bytes: int = Field(400_000, ge=10_000)
    """Amount of text to choose from."""
    target_share: float = Field(0.1, gt=0, lt=1)
    """Share of the target in it. As many tokens as the target has in the pool are chosen."""
    test_bytes: int = Field(20_000, ge=1_000)
    """Amount of text of the target, and of the other domains together, on which trained networks are tested."""
    labels: list[Labels] = Field([0, 16, 64, 256], min_length=1)
    """Numbers of documents of the target that are given as such, beside the probe text with its domains."""
    training_labels: Labels = 64
    """One of `labels`: networks are trained on what is chosen with as many."""
    seeds: int = Field(5, ge=2)
    """Draws of the labelled documents and of all else that is random, and trained networks per choice."""
    nag_share: float = Field(0.05, gt=0, lt=1)
    """Share of the neurons of a layer that stand for a document; the authors take 0.003 of wider layers."""
    rung: Name | None = None
    """Size of the network that is trained on what was chosen, of the first family of the first curve; null takes its
    largest."""
    epochs: float = Field(1.0, gt=0)
    """Number of times that the chosen tokens are read. With all data as many tokens are read, so that most are read
    once at most."""
    learning_rates: tuple[Rate, Rate] = (0.1, 0.5)
    """Peak learning rates as shares of the one that the network was trained with. A verdict has to hold at both."""
    no_worse: float = Field(0.05, gt=0, lt=1)
    """F1 that may be lost where a selection is called no worse than another."""
    tolerance: float = Field(0.1, gt=0, lt=1)
    """Share of the oracle's gain over random text that may be lost where a selection trains as well."""
    confidence: float = Field(0.95, gt=0.5, le=0.9999)
    """Confidence level of every interval."""
    seed: Seed = 0
    """Seed of everything random."""

    @model_validator(mode="after")
    def _labels_are_given(self) -> Self:
        if self.training_labels not in self.labels:
            raise ValueError(f"training_labels is {self.training_labels}; expected one of labels, {self.labels}")
        return self

    analysis: ClassVar = {"no_worse", "tolerance", "confidence"}  # no choice and no network depends on them
    further: ClassVar = {"rung", "epochs", "learning_rates"}  # no choice depends on them

    def choosing(self, task: str) -> dict:
        """The settings on which the choices for a target depend, as plain values."""
        return self.model_dump(mode="json", exclude={*self.analysis, *self.further, "tasks"}) | {
            "task": self.tasks[task].model_dump(mode="json")
        }

    @property
    def most_bytes(self) -> int:
        """Text of a task, but for its probe text."""
        return self.pool_bytes + 2 * self.test_bytes + 2 * max(self.labels) * self.document_bytes

    @property
    def choices(self) -> int:
        """Choices of one arm that learns from labels."""
        return len(self.labels) * self.seeds

    @property
    def networks(self) -> int:
        """Networks that are trained further for a target."""
        return MOST_ARMS * len(self.learning_rates) * self.seeds
