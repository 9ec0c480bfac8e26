"""What every section of the configuration is made of; here, so that parts of the configuration can live elsewhere."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MINIMUM_RUNGS = 3  # two points always lie on a line: a fit needs a third to be able to fail

Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what the generators of numpy and torch both take


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
