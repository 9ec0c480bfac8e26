"""The section `stability`: resamples, subsets, snapshots of the counts, and their power."""

from typing import Self

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Section


class Stability(Section):
    bootstrap: int = Field(40, ge=10)
    """Number of resamples of the documents, for the interval of every count."""
    subset_draws: int = Field(10, ge=2)
    """Number of random subsets of neurons, each as large as the curve's smallest model, for counts at equal size."""
    planted: int = Field(100, ge=10)
    """Number of random neurons of every network that are planted into the other network of a pair at several
    correlations, to see which a list of matches finds: the power that stands beside it."""
    snapshots: list[float] = Field(default_factory=lambda: [0.125, 0.25, 0.5])
    """Shares of the units after which matches are counted, for counts as a function of the number of units."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if not all(0 < share < 1 for share in self.snapshots) or self.snapshots != sorted(set(self.snapshots)):
            raise ValueError(f"stability.snapshots is {self.snapshots}; shares rise and lie between 0 and 1")
        return self
