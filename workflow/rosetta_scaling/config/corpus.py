"""The section `corpus`: where documents come from, and how they are cut, balanced and held out."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Section


class Corpus(Section):
    kind: Literal["embedded", "folder", "jsonl", "huggingface", "procedural", "idx", "photographs"] = "embedded"
    """Where documents come from; `embedded` takes texts from installed packages, `procedural` draws images; neither
    needs a network. `photographs` takes images from packages that are downloaded (workflow/images/photographs.yaml)."""
    path: str | None = None
    """Folder of text files, or of images with a subfolder per class; one .jsonl/.jsonl.zst file or a folder of them; a
    folder of idx files of images; or a data set name on the hub."""
    revision: str | None = None
    """Commit of a hub data set (40 hex digits); required for `huggingface`."""
    text_column: str = "text"
    """Column that holds the text (`jsonl`, `huggingface`)."""
    domain_column: str = "meta.pile_set_name"
    """Column that holds the domain label; a dot leads to a nested column."""
    domains: list[str] | None = Field(None, min_length=1)
    """Keep only these domains; null keeps all."""
    bytes_per_domain: int = Field(2_000_000, ge=10_000)
    """Maximum amount of text per domain; it keeps the domains balanced."""
    probe_bytes_per_domain: int = Field(12_000, ge=1_000)
    """Amount of held-out text per domain, on which activations are compared."""
    min_document_bytes: int = Field(200, ge=1)
    """Shorter documents are dropped; the corpus manifest counts them."""
    max_document_bytes: int = Field(16_000, ge=1_000)
    """Longer documents are cut at line ends; all pieces stay in one split."""
    near_duplicate_threshold: float = Field(0.8, ge=0.05, le=1)
    """Documents whose word 5-grams overlap at least this much (Jaccard index, estimated by MinHash) are dropped and
    counted. 1 drops only documents with identical 5-grams; below 0.05 MinHash would miss too many."""
    seed: int = 0
    """Decides which documents are held out."""

    @property
    def most_domains(self) -> int:
        """Largest number of domains that the configuration allows; plans use it."""
        known = {"embedded": 6, "procedural": 16, "idx": 10, "photographs": 4}
        return len(self.domains) if self.domains else known.get(self.kind, 22)  # the Pile has 22

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind not in ("embedded", "procedural", "photographs") and not self.path:
            raise ValueError(f"corpus.kind is '{self.kind}', which needs corpus.path")
        if self.kind == "huggingface" and not self.revision:
            raise ValueError("corpus.kind is 'huggingface', which needs corpus.revision: the 40-digit commit to pin")
        return self

    @model_validator(mode="after")
    def _sizes_fit_together(self) -> Self:
        if self.probe_bytes_per_domain >= self.bytes_per_domain:
            raise ValueError(
                f"corpus.probe_bytes_per_domain is {self.probe_bytes_per_domain}, a part of corpus.bytes_per_domain = "
                f"{self.bytes_per_domain}: lower it"
            )
        if self.min_document_bytes > self.max_document_bytes:
            raise ValueError(
                f"corpus.min_document_bytes is {self.min_document_bytes}, above corpus.max_document_bytes = "
                f"{self.max_document_bytes}: every document would be dropped"
            )
        return self
