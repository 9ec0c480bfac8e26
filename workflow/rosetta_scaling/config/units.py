"""The section `units`: on which spans of text networks are compared."""

from typing import Literal

from pydantic import Field

from rosetta_scaling.config.section import Section


class Units(Section):
    scope: Literal["study", "pair"] = "study"
    """Unit boundaries shared by all tokenizers of the study (one pass per model), or of the pair only (the paper)."""
    passage_bytes: int = Field(256, ge=32)
    """Probe documents are read in passages of this many bytes."""
    max_tokens: int = Field(128, ge=8)
    """Tokens per passage; what lies beyond is not compared."""
    include_first: bool = False
    """Also use the unit at position 0, where attention sinks live."""
