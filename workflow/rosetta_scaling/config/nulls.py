"""The section `nulls`: how often each null is drawn."""

from pydantic import Field

from rosetta_scaling.config.section import Section, Seed

NULLS = ("shift", "permute", "gaussian", "rotate", "rotate_raw", "untrained")  # in the order of tables and figures


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
        """Number of draws of one of NULLS."""
        return getattr(self, f"{null}_draws")


if unknown := {f"{null}_draws" for null in NULLS} ^ {key for key in Nulls.model_fields if key.endswith("_draws")}:
    raise TypeError(f"NULLS and the keys of the section `nulls` differ by {sorted(unknown)}: add what is missing")
