"""The section `selectivity`: how the selectivity of neurons is measured."""

from pydantic import Field

from rosetta_scaling.config.section import Section


class Selectivity(Section):
    embedding: str = "wordllama"
    """What tells how alike contexts are: `wordllama`, word vectors inside a package, or the name or folder of a
    model of sentence-transformers."""
    detection_neurons: int | None = Field(None, ge=1)
    """Random neurons of a model whose contexts are predicted, a few milliseconds each; null takes all."""
    shuffles: int = Field(200, ge=20)
    """Draws in which domains are dealt anew to documents, the null of what neurons tell about domains."""
