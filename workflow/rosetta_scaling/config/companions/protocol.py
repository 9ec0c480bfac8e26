"""What the settings of all companion studies share."""

from typing import ClassVar

from rosetta_scaling.config.section import Section


class Protocol(Section):
    """Settings of a companion study. Subclasses give `jobs`, the names of its training jobs, and `operations(job)`."""

    analysis: ClassVar[set | dict] = (
        set()
    )  # settings on which no trained network depends, as pydantic's `exclude` takes them

    def training(self) -> dict:
        """The settings on which trained networks depend, as plain values."""
        return self.model_dump(mode="json", exclude=self.analysis)
