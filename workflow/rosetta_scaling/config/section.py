"""What every section of the configuration is made of; here, so that parts of the configuration can live elsewhere."""

from pydantic import BaseModel, ConfigDict

MINIMUM_RUNGS = 3  # two points always lie on a line: a fit needs a third to be able to fail


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
