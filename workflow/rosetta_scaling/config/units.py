"""The section `units`: on which spans of text networks are compared."""

from typing import Literal

from pydantic import Field

from rosetta_scaling.config.section import Section


class Units(Section):
    scope: Literal["study", "pair"] = "study"
    """Which tokenizers share the unit boundaries: all of the study (one forward pass per model), or the two of a pair
    (as in the paper)."""
    passage_bytes: int = Field(256, ge=32)
    """Probe documents are read in passages of this many bytes."""
    max_tokens: int = Field(128, ge=8)
    """Maximum number of tokens per passage, text beyond it is not compared; of an image the largest number of patches,
    which plans use."""
    include_first: bool = False
    """Also compare the unit at position 0, where attention sinks appear."""
