"""The section `families`: where the networks of every model family come from."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Name, Section, Seed

OF_IMAGES = ("vit", "vit_mae", "dit")  # architectures that are trained on images


class Family(Section):
    source: Literal["ladder", "local", "hub", "package", "untrained"] = "ladder"
    """`ladder` trains the family from scratch; `local` reads folders written by `save_pretrained`; `hub` downloads from
    the Hugging Face hub; `package` takes weights that ship inside Python packages; `untrained` initialises the networks
    of another family anew."""
    modality: Literal["text", "image"] = "text"
    """What the networks read; all models of a point must read the same."""
    architecture: Literal["gpt_neox", "bloom", "llama", "gpt2", "vit", "vit_mae", "dit"] | None = None
    """Transformers model type of a trained family; of images `vit` (learns to name classes), `vit_mae` (a masked
    autoencoder) or `dit` (a generator)."""
    vocabulary: int | None = Field(None, ge=257)
    """Size of the family's own byte-level BPE vocabulary; families of images have none."""
    seed: Seed = 0
    """Decides initial weights (`ladder`, `untrained`), tokenizer sample and order of the training text (`ladder`)."""
    rungs: list[Name] | None = None
    """Train only these rungs of the ladder, for families that repeat another one with a different seed; null trains all
    (`ladder` only)."""
    models: dict[Name, str] | None = None
    """Network of every rung, by rung name: a folder (`local`), owner/name@revision (`hub`), a name in
    workflow/models/packages.yaml (`package`)."""
    of: Name | None = None
    """The family whose networks are initialised anew (`untrained` only)."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        trained = ("architecture", "vocabulary") if self.modality == "text" else ("architecture",)
        needed = {"ladder": trained, "untrained": ("of",)}.get(self.source, ("models",))
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"a family with source '{self.source}' needs the key '{key}'")
        for name, model in (self.models or {}).items():
            if self.source == "hub" and not re.fullmatch(r"[\w.-]+/[\w.-]+@[\w./-]+", model):
                raise ValueError(f"models.{name} is '{model}'; a family from the hub names owner/name@revision")
        if self.source == "ladder" and (self.architecture in OF_IMAGES) != (self.modality == "image"):
            raise ValueError(
                f"a family of {self.architecture} networks does not read the modality '{self.modality}'; those of "
                f"images are {', '.join(OF_IMAGES)}: correct architecture or modality"
            )
        return self
