"""The section `judge`: the language model that describes neurons and detects their contexts."""

from typing import Self

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Section


class Judge(Section):
    neurons: int = Field(0, ge=0)
    """Number of random Rosetta neurons of every point's anchor that a language model judges, beside as many other
    neurons; 0 asks no judge."""
    model: str | None = None
    """Name of the judging model at the endpoint."""
    endpoint: str | None = None
    """An OpenAI-compatible server; its key is read from the environment variable OPENAI_API_KEY."""
    answers: str | None = None
    """Folder with answers that were collected by hand; used when there is no endpoint."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.neurons and not (self.model and (self.endpoint or self.answers)):
            raise ValueError("judge.neurons is set, which needs judge.model, and judge.endpoint or judge.answers")
        return self
