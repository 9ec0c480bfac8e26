"""What the settings of all companion studies have in common."""

from typing import ClassVar

from rosetta_scaling.config.section import Section


class Protocol(Section):
    """Settings of a companion study, with `jobs`, names of its training jobs, and `operations(job)` of each."""

    analysis: ClassVar = set()  # settings that trained networks do not depend on, as pydantic's `exclude` takes them

    def training(self) -> dict:
        """The settings that trained networks depend on, as plain values."""
        return self.model_dump(mode="json", exclude=self.analysis)
