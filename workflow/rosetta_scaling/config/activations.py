"""The section `activations`: how activations are computed, stored and summarised."""

from typing import Literal

from pydantic import Field

from rosetta_scaling.config.section import Section


class Activations(Section):
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Storage of pooled activations; sums are always float32 or better."""
    batch_passages: int = Field(32, ge=1)
    """Passages per forward pass; the result does not depend on it."""
    shards: int = Field(4, ge=1)
    """Parts written on the way; a killed job continues after the last whole one."""
    top_contexts: int = Field(20, ge=1)
    """Strongest units kept per neuron, of either half of the documents."""
    unit_texts: int = Field(256, ge=1)
    """So many of the most frequent unit texts have sums of their own in every neuron; the others share one."""
    copy_to: str | None = None
    """A folder on a disk of the node itself, such as $TMPDIR: matching jobs copy the activations there that they read
    again and again."""
