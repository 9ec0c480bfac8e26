"""The section `families`: where the networks of every model family come from."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Name, Section, Seed

OF_IMAGES = ("vit", "vit_mae", "dit")  # architectures that are trained on images


class Family(Section):
    source: Literal["ladder", "local", "hub", "package", "untrained", "continued"] = "ladder"
    """`ladder` trains the family from scratch; `local` reads folders written by `save_pretrained`; `hub` downloads from
    the Hugging Face hub; `package` takes weights that ship inside Python packages; `untrained` initialises the networks
    of another family anew; `continued` trains those of a family of the ladder further."""
    modality: Literal["text", "image"] = "text"
    """What the networks read; all models of a point must read the same."""
    architecture: Literal["gpt_neox", "bloom", "llama", "gpt2", "vit", "vit_mae", "dit"] | None = None
    """Transformers model type of a trained family; of images `vit` (learns to name classes), `vit_mae` (a masked
    autoencoder) or `dit` (a generator)."""
    vocabulary: int | None = Field(None, ge=257)
    """Size of the family's own byte-level BPE vocabulary; families of images have none."""
    seed: Seed = 0
    """Decides initial weights (`ladder`, `untrained`), tokenizer sample (`ladder`) and order of the training text
    (`ladder`, `continued`)."""
    rungs: list[Name] | None = None
    """Train only these rungs of the ladder, for families that repeat another one with a different seed; null trains all
    (`ladder`, `continued`)."""
    models: dict[Name, str] | None = None
    """Network of every rung, by rung name: a folder (`local`), owner/name@revision (`hub`), a name in
    workflow/models/packages.yaml (`package`)."""
    of: Name | None = None
    """The family whose networks are initialised anew (`untrained`) or trained further (`continued`)."""
    domain: str | None = None
    """Train further on this domain of the corpus; null takes all of its text (`continued` only)."""
    tokens: int | None = Field(None, ge=1)
    """Tokens of further training, rounded up to whole steps; more than the text has read it more than once (`continued`
    only)."""
    learning_rate: float = Field(0.5, gt=0, le=1)
    """Peak rate of further training, as a share of the rate of the rung (`continued` only)."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        trained = ("architecture", "vocabulary") if self.modality == "text" else ("architecture",)
        made = {"ladder": trained, "untrained": ("of",), "continued": ("of", "tokens")}
        needed = made.get(self.source, ("models",))
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"a family with source '{self.source}' needs the key '{key}'")
        for name, model in (self.models or {}).items():
            if self.source == "hub" and not re.fullmatch(r"[\w.-]+/[\w.-]+@[\w./-]+", model):
                raise ValueError(f"models.{name} is '{model}'; a family from the hub names owner/name@revision")
        if self.source == "continued" and self.modality != "text":
            raise ValueError("a family with source 'continued' reads text; networks that see are not trained further")
        if self.source == "ladder" and (self.architecture in OF_IMAGES) != (self.modality == "image"):
            raise ValueError(
                f"a family of {self.architecture} networks does not read the modality '{self.modality}'; those of "
                f"images are {', '.join(OF_IMAGES)}: correct architecture or modality"
            )
        return self


def root_of(families: Mapping[str, Family], name: str) -> str:
    """The family whose training a family goes on from; itself unless it is `continued`."""
    family = families[name]
    return family.of if family.source == "continued" and family.of else name


def check_origins(families: Mapping[str, Family]) -> None:
    """Refuse families that are made from others which are not there, or cannot be made from those."""
    taken = {"untrained": ("ladder", "local", "hub", "package"), "continued": ("ladder",)}
    for name, family in families.items():
        fits = [other for other in families if families[other].source in taken.get(family.source, ())]
        if family.source in taken and family.of not in fits:
            raise ValueError(f"families.{name}.of is '{family.of}'; expected one of {fits}")
        if family.source == "continued" and family.seed == families[root_of(families, name)].seed:
            raise ValueError(
                f"families.{name}.seed is {family.seed}, that of {family.of}: its networks would read the same windows "
                "of text in the same order again; choose another seed"
            )


def check_independence(families: Mapping[str, Family], curves: Mapping[str, Sequence[str]]) -> None:
    """Refuse a curve that compares networks with what became of them under further training."""
    for curve, members in curves.items():
        roots = [root_of(families, name) for name in members]
        if related := [name for name, root in zip(members, roots, strict=True) if roots.count(root) > 1]:
            raise ValueError(
                f"curves.{curve} names {related}, whose networks have a start in common; a curve compares networks "
                "that were trained independently: leave all but one out (tables/continued.csv says what becomes of the "
                "neurons of a family that is trained further, without a curve)"
            )
