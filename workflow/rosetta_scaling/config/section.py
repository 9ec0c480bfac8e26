"""What every section of the configuration is made of; here, so that parts of the configuration can live elsewhere."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
