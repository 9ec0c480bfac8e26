"""The section `selectivity`: how the selectivity of neurons is measured."""

from pydantic import Field

from rosetta_scaling.config.section import Section


class Selectivity(Section):
    embedding: str = "wordllama"
    """Embedding that measures how similar contexts are: `wordllama`, word vectors shipped inside a package, or the name
    or folder of a sentence-transformers model."""
    detection_neurons: int | None = Field(None, ge=1)
    """Number of random neurons per model whose contexts are predicted, at a few milliseconds each; null takes all."""
    shuffles: int = Field(200, ge=20)
    """Number of draws in which the domains of the documents are shuffled: the null of what neurons tell about
    domains."""
