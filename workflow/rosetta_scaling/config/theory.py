"""The section `theory`: the simulation of the analytical model."""

from typing import Self

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Section, Seed
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS


class Theory(Section):
    """The simulation of the analytical model; it depends on nothing else in the study."""

    betas: list[float] = [1.5, 1.75, 2.0, 2.25, 2.5, 3.0]
    """Exponents of the importance of features."""
    sizes: list[int] = [2**power for power in range(10, 18)]
    """Neurons of the simulated networks."""
    runs: int = Field(4, ge=1)
    """Number of pairs of networks per size."""
    inputs: int = Field(10_000, ge=100)
    """Number of inputs on which the networks of a pair are compared."""
    seed: Seed = 0
    """Seed of latents, weights and noise."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if min(self.betas, default=0) <= 1:
            raise ValueError(f"theory.betas is {self.betas}; the theory needs exponents above 1")
        if max(self.betas) > 100 or len({f"{beta:g}" for beta in self.betas}) < len(self.betas):
            raise ValueError(f"theory.betas is {self.betas}; exponents are at most 100 and differ in six digits")
        if rounded := [beta for beta in self.betas if float(f"{beta:g}") != beta]:
            raise ValueError(f"theory.betas names {rounded}; files are named after exponents, which have six digits")
        if len(set(self.sizes)) < MINIMUM_RUNGS or min(self.sizes) < 4:
            raise ValueError(
                f"theory.sizes is {self.sizes}; a fit needs at least {MINIMUM_RUNGS} different sizes, and networks of "
                "fewer than 4 neurons cannot represent the features of the theory"
            )
        return self
