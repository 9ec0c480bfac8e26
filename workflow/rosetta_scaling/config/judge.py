"""The section `judge`: the language model that describes neurons and detects their contexts."""

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Section


class Judge(Section):
    neurons: int = Field(0, ge=0)
    """Random Rosetta neurons of every point's anchor, and as many others, that a language model judges; 0: no judge."""
    model: str | None = None
    """Name of the model that judges, as the endpoint knows it."""
    endpoint: str | None = None
    """An OpenAI-compatible server; its key is read from the environment variable OPENAI_API_KEY."""
    answers: str | None = None
    """Without an endpoint: the folder in which answers are put by hand."""

    @model_validator(mode="after")
    def _complete(self):
        if self.neurons and not (self.model and (self.endpoint or self.answers)):
            raise ValueError("judge.neurons is set, which needs judge.model, and judge.endpoint or judge.answers")
        return self
