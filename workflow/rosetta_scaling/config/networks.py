"""The section `networks`: how networks that are not trained here are loaded."""

from typing import Literal

from pydantic import Field

from rosetta_scaling.config.section import Section


class Networks(Section):
    """How networks that are not trained here are loaded."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of weights and of what is calculated with them; sums over units are float32 or better."""
    memory_gb: float | None = Field(None, ge=0.001)
    """What the weights of a network may take on a device; the rest waits in the memory of the machine, or on its disk.
    Null: half of a GPU."""
