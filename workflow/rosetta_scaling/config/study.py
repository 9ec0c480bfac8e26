"""The configuration: one typed model is the only source of truth.

It checks config.yaml; `python -m rosetta_scaling.config.reference` writes the JSON schema and the table of every key.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from rosetta_scaling.config.companions.section import Companions
from rosetta_scaling.config.section import Section
from rosetta_scaling.numerics.limits import MINIMUM_RUNGS
from rosetta_scaling.schemas.nulls import require_complete
from rosetta_scaling.store.errors import StudyError

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
CurveName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
NEAREST = 10  # partners among which a hub-corrected score ranks


class Corpus(Section):
    kind: Literal["embedded", "folder", "jsonl", "huggingface"] = "embedded"
    """Where documents come from; `embedded` is assembled from installed packages and needs no network."""
    path: str | None = None
    """Folder of text files, one .jsonl/.jsonl.zst file or a folder of them, or a data set name on the hub."""
    revision: str | None = None
    """Commit of a hub data set (40 hex digits); required for `huggingface`."""
    text_column: str = "text"
    """Column that holds the text (`jsonl`, `huggingface`)."""
    domain_column: str = "meta.pile_set_name"
    """Column that holds the domain label; a dot goes one level down."""
    domains: list[str] | None = None
    """Keep only these domains; null keeps all."""
    bytes_per_domain: int = Field(2_000_000, ge=10_000)
    """At most this much text per domain, so that domains are balanced."""
    probe_bytes_per_domain: int = Field(12_000, ge=1_000)
    """Held-out text per domain on which activations are compared."""
    min_document_bytes: int = Field(200, ge=1)
    """Shorter documents are dropped and counted."""
    max_document_bytes: int = Field(16_000, ge=1_000)
    """Longer documents are cut at line ends; all pieces stay in one split."""
    near_duplicate_threshold: float = Field(0.8, gt=0, le=1)
    """Documents whose word 5-grams overlap more than this (Jaccard, by MinHash) are dropped and counted."""
    seed: int = 0
    """Decides which documents are held out."""

    @property
    def most_domains(self) -> int:
        """Number of domains, as far as the configuration tells; for plans."""
        return len(self.domains) if self.domains else {"embedded": 6}.get(self.kind, 22)  # the Pile has 22

    @model_validator(mode="after")
    def _complete(self):
        if self.kind != "embedded" and not self.path:
            raise ValueError(f"corpus.kind is '{self.kind}', which needs corpus.path")
        if self.kind == "huggingface" and not self.revision:
            raise ValueError("corpus.kind is 'huggingface', which needs corpus.revision: the 40-digit commit to pin")
        return self


class Size(Section):
    """One rung of the ladder: the shape of a network, shared by all families that are trained."""

    hidden_size: int = Field(ge=4)
    """Width of the residual stream."""
    layers: int = Field(ge=1)
    """Number of transformer blocks."""
    heads: int = Field(ge=1)
    """Attention heads; must divide hidden_size."""
    learning_rate: float = Field(gt=0)
    """Peak learning rate at this size."""

    @model_validator(mode="after")
    def _divisible(self):
        if self.hidden_size % self.heads or (self.hidden_size // self.heads) % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} over {self.heads} heads does not give an even head size; "
                "rotary positions need one: change hidden_size or heads"
            )
        return self


class Ladder(Section):
    """Networks trained from scratch by the study."""

    rungs: dict[Name, Size] = Field(default_factory=dict)
    """Sizes by name, smallest first."""
    tokens: int = Field(800_000, ge=1_000)
    """Training tokens, the same for every network."""
    context: int = Field(128, ge=8)
    """Tokens per training sequence."""
    batch_sequences: int = Field(8, ge=1)
    """Sequences per optimiser step; many small steps train small networks best."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps with a rising learning rate; a cosine to a tenth of the peak follows."""
    weight_decay: float = Field(0.1, ge=0)
    """AdamW decay of matrices; vectors are not decayed."""
    checkpoint_seconds: float = Field(20, ge=0)
    """Time between training checkpoints: what a kill can cost."""


class Family(Section):
    source: Literal["ladder", "local", "hub", "package", "untrained"] = "ladder"
    """`ladder` trains the family from scratch; `local` reads folders written by `save_pretrained`; `hub` downloads from
    the Hugging Face hub; `package` takes weights that ship inside Python packages; `untrained` initialises the networks
    of another family afresh."""
    modality: Literal["text", "image"] = "text"
    """What the networks read; models of one point must share it."""
    architecture: Literal["gpt_neox", "bloom", "llama", "gpt2"] | None = None
    """Transformers model type of a trained family."""
    vocabulary: int | None = Field(None, ge=257)
    """Size of the family's own byte-level BPE vocabulary."""
    seed: int = 0
    """Decides initial weights (`ladder`, `untrained`), tokenizer sample and order of the training text (`ladder`)."""
    rungs: list[Name] | None = None
    """Only these rungs of the ladder, for families that serve as other seeds; null takes all (`ladder` only)."""
    models: dict[Name, str] | None = None
    """Rung name to network: a folder (`local`), owner/name@revision (`hub`), a name in workflow/models/packages.yaml
    (`package`)."""
    of: Name | None = None
    """The family whose networks are initialised afresh (`untrained` only)."""

    @model_validator(mode="after")
    def _complete(self):
        needed = {"ladder": ("architecture", "vocabulary"), "untrained": ("of",)}.get(self.source, ("models",))
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"a family with source '{self.source}' needs the key '{key}'")
        for name, model in (self.models or {}).items():
            if self.source == "hub" and not re.fullmatch(r"[\w.-]+/[\w.-]+@[\w./-]+", model):
                raise ValueError(f"models.{name} is '{model}'; a family from the hub names owner/name@revision")
        if self.source == "ladder" and self.modality != "text":
            raise ValueError("a family that is trained here reads text; set modality to 'text'")
        return self


class Networks(Section):
    """How networks that are not trained here are loaded."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of weights and of what is calculated with them; sums over units are float32 or better."""
    memory_gb: float | None = Field(None, gt=0)
    """What the weights of a network may take on a device; the rest waits in the memory of the machine, or on its disk.
    Null: half of a GPU."""


class Units(Section):
    scope: Literal["study", "pair"] = "study"
    """Unit boundaries shared by all tokenizers of the study (one pass per model), or of the pair only (the paper)."""
    passage_bytes: int = Field(256, ge=32)
    """Probe documents are read in passages of this many bytes."""
    max_tokens: int = Field(128, ge=8)
    """Tokens per passage; what lies beyond is not compared."""
    include_first: bool = False
    """Also use the unit at position 0, where attention sinks live."""


class Activations(Section):
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Storage of pooled activations; sums are always float32 or better."""
    batch_passages: int = Field(32, ge=1)
    """Passages per forward pass; the result does not depend on it."""
    shards: int = Field(4, ge=1)
    """Parts written on the way; a killed job continues after the last whole one."""
    top_contexts: int = Field(20, ge=1)
    """Strongest units kept per neuron, of either half of the documents."""
    unit_texts: int = Field(256, ge=1)
    """So many of the most frequent unit texts have sums of their own in every neuron; the others share one."""
    copy_to: str | None = None
    """A folder on a disk of the node itself, such as $TMPDIR: matching jobs copy the activations there that they read
    again and again."""


class Criterion(Section):
    k: int = Field(1, ge=1, le=100)
    """Mutual top-k: each neuron is among the k best of the other."""
    mutual: bool = True
    """Off: the partner need only be among the k best of the anchor's neuron."""
    score: Literal["r", "csls"] = "r"
    """What ranks partners: Pearson's r, or r less what hubs have with everybody (cross-domain similarity local scaling
    of Conneau et al. 2018), among partners that are mutual within the 10 nearest."""
    min_r: float = Field(0.0, ge=0, lt=1)
    """Smallest Pearson correlation of a match."""
    min_margin: float = Field(0.0, ge=0, lt=1)
    """Least distance in r to the runner-up, on both sides."""
    min_excess: float = Field(0.0, ge=0, lt=1)
    """Least r beyond the best r that the anchor's neuron has with the rotated neurons of the other model (the excess
    correlation of Gurnee et al. 2024)."""

    @property
    def name(self) -> str:
        parts = [f"{'mutual_' if self.mutual else ''}top{self.k}", *(["csls"] if self.score == "csls" else [])]
        least = {"r": self.min_r, "margin": self.min_margin, "excess": self.min_excess}
        return "_".join(parts + [f"{name}{value:g}" for name, value in least.items() if value > 0])

    @property
    def is_plain(self) -> bool:
        """Mutual best partners and a least r at most: what chance gives can then be calculated."""
        return self.mutual and self.score == "r" and not self.min_margin and not self.min_excess


class Matching(Section):
    criteria: list[Criterion] = Field(
        default_factory=lambda: [
            Criterion(),
            Criterion(min_r=0.3),
            Criterion(min_r=0.5),
            Criterion(k=5),
            Criterion(min_margin=0.05),
            Criterion(min_excess=0.2),
            Criterion(mutual=False, min_excess=0.2),
            Criterion(score="csls"),
        ],
        min_length=1,
    )
    """What counts as a match; the first is the primary criterion, on which claims are judged."""
    engine: Literal["auto", "exact", "sketch"] = "auto"
    """`exact` multiplies all neurons over all units; `sketch` only to find candidates; `auto` takes the cheaper one."""
    placement: Literal["auto", "stored", "recomputed", "one_pass"] = "auto"
    """Where activations are between the networks and the matching: on disk, computed anew for every tile of the
    correlation matrix, or for one tile that is the whole matrix; `auto` takes the cheapest that fits the budgets."""
    memory_mb: int = Field(600, ge=16)
    """Memory of a matching job beyond what its libraries take; the correlation matrix is never stored whole."""
    scratch_gb: float = Field(20, gt=0)
    """Disk for stored activations and sketches of the study."""
    sketch_slots: int = Field(49_152, ge=2_048)
    """Length of a sketch: more slots find candidates more surely and cost more."""
    sketch_candidates: int = Field(128, ge=2)
    """At most so many partners of a neuron are re-scored; a neuron with more in question gets a whole row."""

    @property
    def k(self) -> int:
        """The most partners that any criterion looks at."""
        return max(NEAREST if criterion.score == "csls" else criterion.k for criterion in self.criteria)

    @model_validator(mode="after")
    def _distinct(self):
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) < len(names):
            raise ValueError(f"matching.criteria repeats itself: {names}; each criterion may stand once")
        return self


class Nulls(Section):
    """Draws of every null; odd and even ones change one and the other model of a pair."""

    shift_draws: int = Field(2, ge=1)
    """Units displaced by whole documents: keeps everything but the alignment, autocorrelation included."""
    permute_draws: int = Field(2, ge=1)
    """Units displaced and shuffled: keeps every neuron's distribution and the correlations within a model."""
    gaussian_draws: int = Field(2, ge=1)
    """Independent Gaussian units with the covariance of every layer."""
    rotate_draws: int = Field(4, ge=2)
    """Every layer's standardised activations in a random orthonormal basis: the same subspace without its neurons.
    These are the decoys of the calibration; half of them stand for either model."""
    rotate_raw_draws: int = Field(2, ge=1)
    """The same with the activations as they are."""
    untrained_draws: int = Field(2, ge=1)
    """Fresh initialisations of both networks."""
    rows: int | None = Field(None, ge=10)
    """Nulls are counted on this many random neurons of every model and scaled up; null takes all."""
    seed: int = 0
    """Decides everything random in nulls and stability checks."""

    def draws(self, null: str) -> int:
        return getattr(self, f"{null}_draws")


require_complete((key.removesuffix("_draws") for key in Nulls.model_fields if key.endswith("_draws")), "config: nulls")


class Stability(Section):
    bootstrap: int = Field(40, ge=10)
    """Resamples of the documents, for the interval of every count."""
    subset_draws: int = Field(10, ge=2)
    """Random subsets of neurons, of the size of a curve's smallest model, for counts at equal n."""
    snapshots: list[float] = Field(default_factory=lambda: [0.125, 0.25, 0.5])
    """Shares of the units at which the running products are read, for counts against the number of units."""

    @model_validator(mode="after")
    def _shares(self):
        if not all(0 < share < 1 for share in self.snapshots) or self.snapshots != sorted(set(self.snapshots)):
            raise ValueError(f"stability.snapshots is {self.snapshots}; shares rise and lie between 0 and 1")
        return self


class Selectivity(Section):
    embedding: str = "wordllama"
    """What tells how alike contexts are: `wordllama`, word vectors inside a package, or the name or folder of a
    model of sentence-transformers."""
    detection_neurons: int | None = Field(None, ge=1)
    """Random neurons of a model whose contexts are predicted, a few milliseconds each; null takes all."""
    shuffles: int = Field(200, ge=20)
    """Draws in which domains are dealt anew to documents, the null of what neurons tell about domains."""


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


class Polarization(Section):
    draws: int = Field(500, ge=100)
    """Placebo sets: random other neurons, as many of each layer."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Level of every interval of the study."""


class Fits(Section):
    coverage_draws: int = Field(150, ge=50)
    """Simulated curves, as large and as noisy as the real ones, on which intervals are checked."""
    forecast: dict[str, Annotated[int, Field(ge=1)]] = {
        "pythia-160m": 36_864,
        "pythia-1.4b": 196_608,
        "pythia-6.9b": 524_288,
        "opt-30b": 1_376_256,
    }
    """Named models and their numbers of neurons, to which the fits are extrapolated."""
    seed: int = 0
    """Decides the simulations."""


class Theory(Section):
    """The simulation of the analytical model; it depends on nothing else in the study."""

    betas: list[float] = [1.5, 1.75, 2.0, 2.25, 2.5, 3.0]
    """Exponents of the importance of features."""
    sizes: list[int] = [2**power for power in range(10, 18)]
    """Neurons of the simulated networks."""
    runs: int = Field(4, ge=1)
    """Pairs of networks per size."""
    inputs: int = Field(10_000, ge=100)
    """Inputs on which they are compared."""
    seed: int = 0
    """Decides latents, weights and noise."""

    @model_validator(mode="after")
    def _possible(self):
        if min(self.betas, default=0) <= 1:
            raise ValueError(f"theory.betas is {self.betas}; the theory needs exponents above 1")
        if len(set(self.sizes)) < MINIMUM_RUNGS or min(self.sizes) < 2:
            raise ValueError(f"theory.sizes is {self.sizes}; a fit needs at least {MINIMUM_RUNGS} different sizes")
        return self


class Study(Section):
    """A whole study. Field order is the order of config.yaml."""

    study: CurveName
    """Name; everything is written to results/NAME/."""
    cache_dir: str = "results/cache"
    """Corpora, tokenizers and checkpoints, shared by all studies and keyed by content."""
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """Where networks run; `auto` takes a GPU when there is one."""
    corpus: Corpus = Corpus()
    ladder: Ladder = Ladder()
    families: dict[Name, Family] = Field(min_length=1)
    """Model families by name."""
    curves: dict[CurveName, list[Name]] = Field(min_length=1)
    """Curve name to two or more families; the first is the anchor, whose neurons are counted."""
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

    @property
    def judged(self) -> list[str]:
        """The criteria that claims are judged on: the first, and the one that asks most of r."""
        criteria = self.matching.criteria
        return list(dict.fromkeys([criteria[0].name, max(criteria, key=lambda c: (c.min_r, -c.k)).name]))

    @property
    def judged_sets(self) -> list[str]:
        """The sets of Rosetta neurons whose selectivity is measured: by these criteria, and the calibrated ones."""
        return [*self.judged, f"{self.judged[0]}_fdr05"]

    def deciding(self) -> dict:
        """The settings that results depend on, as plain values: without those that only say where and how fast."""
        indifferent = {
            "device": True,
            "cache_dir": True,
            "ladder": {"checkpoint_seconds"},
            "networks": {"memory_gb"},
            "activations": {"batch_passages", "shards", "copy_to"},
            "matching": set(Matching.model_fields) - {"criteria"},
            "judge": {"endpoint", "answers"},
            "companions": True,  # nothing else depends on them
        }
        return self.model_dump(mode="json", exclude=indifferent)

    def rungs_of(self, family: str) -> list[str]:
        """Rung names of a family, in order."""
        member = self.families[family]
        if member.source == "untrained":
            return self.rungs_of(member.of)
        if member.source != "ladder":
            return list(member.models)
        return [rung for rung in self.ladder.rungs if member.rungs is None or rung in member.rungs]

    def points_of(self, curve: str) -> list[str]:
        """Rungs that every family of the curve has, in the anchor's order."""
        anchor, *others = self.curves[curve]
        return [rung for rung in self.rungs_of(anchor) if all(rung in self.rungs_of(other) for other in others)]

    @model_validator(mode="after")
    def _families_exist(self):
        for name, family in self.families.items():
            if family.source == "untrained" and self.families.get(family.of, family).source == "untrained":
                trained = [other for other, one in self.families.items() if one.source != "untrained"]
                raise ValueError(f"families.{name}.of is '{family.of}'; expected one of {trained}")
        return self

    @model_validator(mode="after")
    def _fits_together(self):
        trained = any(family.source == "ladder" for family in self.families.values())
        if trained and self.units.max_tokens > self.ladder.context:
            raise ValueError(
                f"units.max_tokens is {self.units.max_tokens}, but the networks are trained on ladder.context = "
                f"{self.ladder.context} tokens: lower it"
            )
        if Path(self.cache_dir) == Path("results") / self.study:
            raise ValueError(f"study '{self.study}' would be written into the cache {self.cache_dir}; rename it")
        return self

    @model_validator(mode="after")
    def _evidence_is_there(self):
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
    def _curves_have_points(self):
        for curve, families in self.curves.items():
            if unknown := [name for name in families if name not in self.families]:
                raise ValueError(f"curves.{curve} names {unknown}; the families are {list(self.families)}")
            if len(set(families)) < 2 or len(set(families)) < len(families):
                raise ValueError(f"curves.{curve} is {families}; a curve needs two or more different families")
            modalities = {name: self.families[name].modality for name in families}
            if len(set(modalities.values())) > 1:
                raise ValueError(f"curves.{curve} mixes modalities {modalities}; models of a point must share one")
            if "image" in modalities.values():
                raise ValueError(f"curves.{curve} compares image models, which cannot be read yet; take text models")
            if not self.points_of(curve):
                rungs = {name: self.rungs_of(name) for name in families}
                raise ValueError(f"curves.{curve} has no points: its families share no rung {rungs}; rename rungs")
        return self


def parse(values: dict) -> Study:
    """Check a dictionary, as read from YAML. One sentence per fault: key, value, what is allowed."""
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        raise StudyError("configuration: " + "; ".join(_sentence(fault) for fault in error.errors())) from None


def load(path: str | Path) -> Study:
    """Read and check a YAML file."""
    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise StudyError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise StudyError(f"{path}: expected keys and values, found {type(values).__name__}")
    return parse(values)


def _sentence(fault: dict) -> str:
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        section = _section_at(fault["loc"][:-1])
        allowed = f"; allowed here: {', '.join(section.model_fields)}" if section else ""
        return f"'{key}' is not a key{allowed}"
    if fault["type"] == "missing":
        return f"'{key}' is missing"
    if fault["type"] == "value_error":
        return f"{key + ': ' if key else ''}{fault['ctx']['error']}"
    return f"'{key}' is {fault['input']!r}; {fault['msg'].lower()}"


def _section_at(location: tuple) -> type[BaseModel] | None:
    """The configuration section that a pydantic error location points at."""
    section: type[BaseModel] | None = Study
    for step in location:
        if section and step in section.model_fields:
            section = section_of(section.model_fields[step].annotation)
        # otherwise the step is a key of a dictionary or an index of a list: the section stays
    return section


def section_of(annotation) -> type[BaseModel] | None:
    """The Section inside an annotation such as dict[Name, Family] or list[Criterion], if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [section_of(part) for part in getattr(annotation, "__args__", ())]
    return next((section for section in found if section), None)
