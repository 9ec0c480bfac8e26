"""The section `fits`: how scaling fits are checked, and to which models they are extrapolated."""

from typing import Annotated

from pydantic import Field

from rosetta_scaling.config.section import Section, Seed


class Fits(Section):
    coverage_draws: int = Field(150, ge=50)
    """Number of simulated curves, as long and as noisy as the real ones, on which the intervals are checked."""
    power_draws: int = Field(100, ge=2)
    """Number of simulated studies, of the sizes of this one, on which every main claim is judged where the truth is
    known. A hundred know a probability of 5% to 2%, one of 80% to 4%."""
    forecast: dict[str, Annotated[int, Field(ge=1)]] = {
        "pythia-160m": 36_864,
        "pythia-1.4b": 196_608,
        "pythia-6.9b": 524_288,
        "opt-30b": 1_376_256,
    }
    """Models by name, with their numbers of neurons, to which the fits are extrapolated."""
    seed: Seed = 0
    """Seed of the simulations."""
