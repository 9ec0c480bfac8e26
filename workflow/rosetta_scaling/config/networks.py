"""The section `networks`: how networks that are not trained here are loaded."""

from typing import Literal

from pydantic import Field

from rosetta_scaling.config.section import Section


class Networks(Section):
    """How networks that are not trained here are loaded."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the weights and of the forward pass; sums over units are always float32 or better."""
    memory_gb: float | None = Field(None, ge=0.001)
    """Device memory for the weights of a network; layers that do not fit are kept in main memory or on disk. Null takes
    half of the memory of a GPU."""
