"""The section `nulls`: how often each null is drawn."""

from pydantic import Field

from rosetta_scaling.config.section import Section, Seed
from rosetta_scaling.schemas.nulls import require_complete


class Nulls(Section):
    """Number of draws of every null; odd draws change one model of a pair, even draws the other."""

    shift_draws: int = Field(2, ge=1, le=1000)
    """Units are displaced by whole documents, which destroys only the alignment and keeps the autocorrelation."""
    permute_draws: int = Field(2, ge=1, le=1000)
    """Units are displaced and shuffled, which keeps every neuron's distribution and the correlations within a model."""
    gaussian_draws: int = Field(2, ge=1, le=1000)
    """Independent Gaussian units with the covariance of every layer."""
    rotate_pre_draws: int = Field(16, ge=2, le=1000)
    """The inputs of every layer's nonlinearity, over the length of their weights, are rotated at random: random neurons
    on the same residual stream, with the same nonlinearity. The calibration takes these as decoys, half of them for
    each model."""
    rotate_draws: int = Field(4, ge=2, le=1000)
    """The standardised activations of every layer are rotated into a random orthonormal basis: the same subspace
    without its neurons, and without the shape that the nonlinearity gives. The excess correlation is measured against
    these."""
    rotate_raw_draws: int = Field(2, ge=1, le=1000)
    """The same rotation without standardising first."""
    untrained_draws: int = Field(2, ge=1, le=1000)
    """Both networks are initialised anew."""
    rows: int | None = Field(None, ge=10)
    """Number of random neurons per model on which nulls are counted and then scaled up; null takes all neurons."""
    seed: Seed = 0
    """Seed of everything random in nulls and stability checks."""

    def draws(self, null: str) -> int:
        """Number of draws of one of NULLS."""
        return getattr(self, f"{null}_draws")


require_complete((key.removesuffix("_draws") for key in Nulls.model_fields if key.endswith("_draws")), "config: nulls")
