"""The section `matching`: what counts as a match, and how matches are found."""

from typing import Literal

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Section

NEAREST = 10  # partners among which a hub-corrected score ranks


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
