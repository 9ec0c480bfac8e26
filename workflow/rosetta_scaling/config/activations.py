"""The section `activations`: how activations are computed, stored and summarised."""

from typing import Literal

from pydantic import Field

from rosetta_scaling.config.section import Section


class Activations(Section):
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Precision of stored activations; sums are always float32 or better."""
    batch_passages: int = Field(32, ge=1)
    """Passages per forward pass; the result does not depend on it."""
    shards: int = Field(4, ge=1)
    """Number of parts that are written one after the other; a killed job continues after the last complete part."""
    top_contexts: int = Field(20, ge=1)
    """Number of strongest units kept per neuron, in each fold of the documents."""
    unit_texts: int = Field(256, ge=1)
    """Number of most frequent unit texts that get their own running sum per neuron; all others share one."""
    copy_to: str | None = None
    """A folder on a local disk of the compute node, such as $TMPDIR: matching jobs copy activations there before they
    read them repeatedly."""
