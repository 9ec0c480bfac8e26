"""The section `ladder`: sizes and training of the networks that the study trains from scratch."""

import math
from typing import Self

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Name, Section


class Size(Section):
    """One rung of the ladder: the shape of a network, the same for all families trained by the study."""

    hidden_size: int = Field(ge=4, le=1_000_000)
    """Width of the residual stream."""
    layers: int = Field(ge=1, le=10_000)
    """Number of transformer blocks."""
    heads: int = Field(ge=1)
    """Attention heads; must divide hidden_size."""
    learning_rate: float = Field(gt=0)
    """Peak learning rate at this size."""

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.hidden_size % self.heads or (self.hidden_size // self.heads) % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} over {self.heads} heads does not give an even head size; "
                "rotary positions need one: change hidden_size or heads"
            )
        return self


class Ladder(Section):
    """Networks trained from scratch by the study."""

    rungs: dict[Name, Size] = Field(default_factory=dict)
    """Sizes by name, smallest first."""
    tokens: int = Field(800_000, ge=1_000)
    """Training tokens, the same for every network."""
    tokens_per_parameter: float | None = Field(None, gt=0)
    """Training tokens in proportion to the parameters without embeddings, in place of `tokens`; null: equally many."""
    context: int = Field(128, ge=8)
    """Tokens per training sequence."""
    batch_sequences: int = Field(8, ge=1)
    """Sequences per optimiser step; small networks learn best from many small steps."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps during which the learning rate rises; after that it falls to a tenth of the peak as a
    cosine."""
    weight_decay: float = Field(0.1, ge=0)
    """Weight decay of AdamW for matrices; vectors are not decayed."""
    checkpoint_seconds: float = Field(20, ge=0)
    """Seconds between training checkpoints: the most work that a killed job loses."""

    def tokens_of(self, parameters: int) -> int:
        """Training tokens of a network with so many parameters without embeddings."""
        return self.tokens if self.tokens_per_parameter is None else math.ceil(self.tokens_per_parameter * parameters)

    def of_tokens(self, tokens: int | None) -> "Ladder":
        """The same settings for so many training tokens, whatever the size of a network."""
        return self.model_copy(update={"tokens": tokens, "tokens_per_parameter": None})

    def steps_of(self, parameters: int) -> int:
        """Optimiser steps of a network with so many parameters without embeddings."""
        return math.ceil(self.tokens_of(parameters) / (self.batch_sequences * self.context))
