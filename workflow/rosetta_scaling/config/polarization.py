"""The section `polarization`: placebo sets and intervals."""

from pydantic import Field

from rosetta_scaling.config.section import Section


class Polarization(Section):
    draws: int = Field(500, ge=100)
    """Number of placebo sets: random non-Rosetta neurons, as many from each layer as there are Rosetta neurons."""
    confidence: float = Field(0.95, gt=0.5, le=0.9999)
    """Confidence level of every interval of the study."""
