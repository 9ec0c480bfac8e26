"""The section `polarization`: placebo sets and intervals."""

from pydantic import Field

from rosetta_scaling.config.section import Section


class Polarization(Section):
    draws: int = Field(500, ge=100)
    """Placebo sets: random other neurons, as many of each layer."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval of the study."""
