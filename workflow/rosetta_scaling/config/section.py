"""The base class of all sections of the configuration, and the types of names and seeds."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what the generators of numpy and torch both take
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
CurveName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys are refused, and the string under a field documents it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
