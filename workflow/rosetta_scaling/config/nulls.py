"""The section `nulls`: how often each null is drawn."""

from pydantic import Field

from rosetta_scaling.config.section import Section, Seed


class Nulls(Section):
    """Draws of every null; odd and even ones change one and the other model of a pair."""

    shift_draws: int = Field(2, ge=1)
    """Units displaced by whole documents: keeps everything but the alignment, autocorrelation included."""
    permute_draws: int = Field(2, ge=1)
    """Units displaced and shuffled: keeps every neuron's distribution and the correlations within a model."""
    gaussian_draws: int = Field(2, ge=1)
    """Independent Gaussian units with the covariance of every layer."""
    rotate_draws: int = Field(4, ge=2)
    """Every layer's standardised activations in a random orthonormal basis: the same subspace without its neurons.
    These are the decoys of the calibration; half of them stand for either model."""
    rotate_raw_draws: int = Field(2, ge=1)
    """The same with the activations as they are."""
    untrained_draws: int = Field(2, ge=1)
    """Fresh initialisations of both networks."""
    rows: int | None = Field(None, ge=10)
    """Nulls are counted on this many random neurons of every model and scaled up; null takes all."""
    seed: Seed = 0
    """Decides everything random in nulls and stability checks."""

    def draws(self, null: str) -> int:
        return getattr(self, f"{null}_draws")


NULLS = tuple(name.removesuffix("_draws") for name in Nulls.model_fields if name.endswith("_draws"))
