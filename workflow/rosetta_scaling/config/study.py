"""The configuration: one typed model is the only source of truth.

It checks config.yaml; `python -m rosetta_scaling.config.reference` writes the JSON schema and the table of every key.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.activations import Activations
from rosetta_scaling.config.companions.section import Companions
from rosetta_scaling.config.corpus import Corpus
from rosetta_scaling.config.families import Family, check_independence, check_origins
from rosetta_scaling.config.fits import Fits
from rosetta_scaling.config.images import Images
from rosetta_scaling.config.judge import Judge
from rosetta_scaling.config.ladder import Ladder
from rosetta_scaling.config.matching import Matching
from rosetta_scaling.config.networks import Networks
from rosetta_scaling.config.nulls import Nulls
from rosetta_scaling.config.polarization import Polarization
from rosetta_scaling.config.section import CurveName, Name, Section
from rosetta_scaling.config.selectivity import Selectivity
from rosetta_scaling.config.stability import Stability
from rosetta_scaling.config.theory import Theory
from rosetta_scaling.config.units import Units
from rosetta_scaling.config.viewer import Viewer

LARGEST = 2**63  # the libraries that take sizes and counts hold them in 64 bits


class Study(Section):
    """A whole study. Field order is the order of config.yaml."""

    study: CurveName
    """Name of the study; all results are written to results/NAME/."""
    cache_dir: str = Field("results/cache", min_length=1)
    """Folder for corpora, tokenizers and checkpoints, which all studies share; file names are keys of the content."""
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Device on which networks run; `auto` takes a GPU if there is one."""
    corpus: Corpus = Corpus()
    images: Images = Images()
    ladder: Ladder = Ladder()
    families: dict[Name, Family] = Field(min_length=1)
    """Model families by name."""
    curves: dict[CurveName, list[Name]] = Field(min_length=1)
    """Two or more families per curve, by curve name; the first is the anchor, whose neurons are counted."""
    networks: Networks = Networks()
    units: Units = Units()
    activations: Activations = Activations()
    matching: Matching = Matching()
    nulls: Nulls = Nulls()
    stability: Stability = Stability()
    selectivity: Selectivity = Selectivity()
    polarization: Polarization = Polarization()
    fits: Fits = Fits()
    theory: Theory = Theory()
    companions: Companions = Companions()
    judge: Judge = Judge()
    viewer: Viewer = Viewer()

    @property
    def judged(self) -> list[str]:
        """Names of the criteria by which claims are judged: the first, and the one with the highest minimum r."""
        criteria = self.matching.criteria
        return list(dict.fromkeys([criteria[0].name, max(criteria, key=lambda c: (c.min_r, -c.k)).name]))

    @property
    def judged_sets(self) -> list[str]:
        """Names of the sets of Rosetta neurons whose selectivity is measured: those of `judged`, and the calibrated
        set."""
        return [*self.judged, f"{self.judged[0]}_fdr05"]

    @property
    def trains_further(self) -> bool:
        """Whether networks of a family go on from those of another one."""
        return any(family.source == "continued" for family in self.families.values())

    @property
    def modality(self) -> Literal["text", "image"]:
        """What all networks of the study read."""
        return next(iter(self.families.values())).modality

    @property
    def most_patches(self) -> int:
        """Largest number of patches of all images that are compared; plans use it."""
        known = self.corpus.domains or self.corpus.kind in ("procedural", "idx", "photographs")
        classes = self.corpus.most_domains if known else 1000  # ImageNet has 1000
        return self.images.probe_per_class * classes * self.units.max_tokens

    @property
    def units_settings(self) -> dict:
        """The settings that decide the units, as plain values."""
        return self.units.model_dump() | ({"grid": self.images.grid} if self.modality == "image" else {})

    def deciding(self) -> dict:
        """The settings on which results depend, as plain values; settings of place and speed are left out."""
        indifferent: dict[str, Any] = {
            "device": True,
            "cache_dir": True,
            "ladder": {"checkpoint_seconds"},
            "networks": {"memory_gb"},
            "activations": {"batch_passages", "shards", "copy_to"},
            "matching": set(Matching.model_fields) - {"criteria"},
            "judge": {"endpoint", "answers"},
            "companions": True,  # nothing else depends on them
            "viewer": True,
        }
        if self.modality == "text":
            indifferent["images"] = True
        return self.model_dump(mode="json", exclude=indifferent)

    def rungs_of(self, family: str) -> list[str]:
        """Rung names of a family, in order."""
        member = self.families[family]
        if member.of is not None and member.source in ("untrained", "continued"):
            chosen = member.rungs if member.source == "continued" else None
            return [rung for rung in self.rungs_of(member.of) if chosen is None or rung in chosen]
        if member.models is not None and member.source != "ladder":
            return list(member.models)
        return [rung for rung in self.ladder.rungs if member.rungs is None or rung in member.rungs]

    def points_of(self, curve: str) -> list[str]:
        """Names of the rungs that all families of the curve have, in the anchor's order."""
        anchor, *others = self.curves[curve]
        return [rung for rung in self.rungs_of(anchor) if all(rung in self.rungs_of(other) for other in others)]

    @model_validator(mode="before")
    @classmethod
    def _can_be_held(cls, values: object) -> object:
        for path, value in _plain_values(values):
            key = ".".join(map(str, path))
            if isinstance(value, int) and abs(value) > LARGEST and key != "corpus.seed":  # that one is only hashed
                raise ValueError(f"{key} is beyond {LARGEST:.1e}, the largest number that 64 bits hold; lower it")
            if isinstance(value, str) and "\0" in value:
                raise ValueError(f"{key} is {value!r}; no name or path holds the character NUL: take it out")
        return values

    @model_validator(mode="after")
    def _families_exist(self) -> Self:
        check_origins(self.families)
        known = self.corpus.domains
        for name, family in self.families.items():
            if family.source == "continued" and known and family.domain is not None and family.domain not in known:
                raise ValueError(f"families.{name}.domain is '{family.domain}', but the corpus has the domains {known}")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        trained = any(family.source == "ladder" for family in self.families.values())
        if trained and self.modality == "image" and self.ladder.context != self.images.patches:
            raise ValueError(
                f"ladder.context is {self.ladder.context}, but an image of {self.images.size} x {self.images.size} "
                f"pixels has {self.images.patches} patches of images.patch = {self.images.patch}: set it to that"
            )
        if trained and self.units.max_tokens > self.ladder.context:
            raise ValueError(
                f"units.max_tokens is {self.units.max_tokens}, but the networks are trained on ladder.context = "
                f"{self.ladder.context} tokens: lower it"
            )
        if Path(self.cache_dir) == Path("results") / self.study:
            raise ValueError(f"study '{self.study}' would be written into the cache {self.cache_dir}; rename it")
        return self

    @model_validator(mode="after")
    def _corpus_can_be_read(self) -> Self:
        if len({family.modality for family in self.families.values()}) > 1:
            modalities = {name: family.modality for name, family in self.families.items()}
            raise ValueError(f"families mix modalities {modalities}; a study has one corpus, of text or of images")
        own = {"text": ("embedded", "jsonl"), "image": ("procedural", "idx", "photographs")}
        if any(self.corpus.kind in kinds for name, kinds in own.items() if name != self.modality):
            raise ValueError(
                f"corpus.kind is '{self.corpus.kind}', but the families read {self.modality}; choose folder, "
                f"huggingface, {' or '.join(own[self.modality])}"
            )
        return self

    @model_validator(mode="after")
    def _evidence_is_there(self) -> Self:
        if self.nulls.rows and any(c.min_excess or c.score == "csls" for c in self.matching.criteria):
            raise ValueError(
                "matching.criteria ask for min_excess or csls, which need every neuron, but nulls.rows is "
                f"{self.nulls.rows}; set it to null, or leave these criteria out"
            )
        for name, family in self.families.items():
            if unknown := set(family.rungs or ()) - set(self.ladder.rungs):
                raise ValueError(f"families.{name}.rungs names {sorted(unknown)}; rungs are {list(self.ladder.rungs)}")
        return self

    @model_validator(mode="after")
    def _curves_have_points(self) -> Self:
        for curve, families in self.curves.items():
            if unknown := [name for name in families if name not in self.families]:
                raise ValueError(f"curves.{curve} names {unknown}; the families are {list(self.families)}")
            if len(set(families)) < 2 or len(set(families)) < len(families):
                raise ValueError(f"curves.{curve} is {families}; a curve needs two or more different families")
            if not self.points_of(curve):
                rungs = {name: self.rungs_of(name) for name in families}
                raise ValueError(f"curves.{curve} has no points: its families share no rung {rungs}; rename rungs")
        check_independence(self.families, self.curves)
        return self

    @model_validator(mode="after")
    def _continued_networks_are_anchors(self) -> Self:
        for name, family in self.families.items():
            anchors = {
                rung
                for curve, members in self.curves.items()
                for rung in self.points_of(curve)
                if members[0] == family.of
            }
            if family.source == "continued" and not anchors & set(self.rungs_of(name)):
                raise ValueError(
                    f"families.{name} goes on from {family.of}, which is the first family of no curve at its rungs "
                    f"{self.rungs_of(name)}, so that nobody says which of its neurons are Rosetta neurons: add a curve "
                    f"that begins with {family.of}"
                )
        return self

    @model_validator(mode="after")
    def _filtering_finds_its_text(self) -> Self:
        settings = self.companions.filtering
        if "filtering" not in self.companions.studies:
            return self
        known = self.corpus.domains
        for name, task in settings.tasks.items():
            if known and (missing := sorted({task.domain, *task.among} - set(known))):
                raise ValueError(
                    f"companions.filtering.tasks.{name} names {missing}, but the corpus has the domains {known}: "
                    "add them to corpus.domains, or change the task"
                )
        curve = next(iter(self.curves))
        if settings.rung is not None and settings.rung not in self.points_of(curve):
            raise ValueError(
                f"companions.filtering.rung is '{settings.rung}'; expected one of {self.points_of(curve)}, the sizes "
                f"of the curve {curve}"
            )
        if self.families[self.curves[curve][0]].source != "ladder":
            raise ValueError(
                f"filtering trains {self.curves[curve][0]}, the first family of the first curve, further: its source "
                "has to be 'ladder'"
            )
        return self


def _plain_values(values: object, path: tuple = ()) -> Iterator[tuple[tuple, object]]:
    """Every number and text in nested values, with the path of keys and indices that leads to it."""
    if isinstance(values, dict | list | tuple):
        for step, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from _plain_values(value, (*path, step))
    else:
        yield path, values
