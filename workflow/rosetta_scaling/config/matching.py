"""The section `matching`: what counts as a match, and how matches are found."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rosetta_scaling.config.section import Section

NEAREST = 10  # number of nearest partners that a hub-corrected score ranks
TRANSPORT_NEURONS = 4096  # of the larger network of a pair, at most, where partial optimal transport is calculated


class Criterion(Section):
    k: int = Field(1, ge=1, le=100)
    """Mutual top-k: each neuron is among the k best of the other."""
    mutual: bool = True
    """If false, the partner only has to be among the k best of the anchor's neuron."""
    score: Literal["r", "csls"] = "r"
    """Score that ranks partners: Pearson's r, or r corrected for hubs, which correlate with many neurons (cross-domain
    similarity local scaling, Conneau et al. 2018); the correction ranks partners that are mutual within the 10
    nearest."""
    min_r: float = Field(0.0, ge=0, lt=1)
    """Minimum Pearson correlation of a match."""
    min_margin: float = Field(0.0, ge=0, lt=1)
    """Minimum difference in r to the runner-up, on both sides."""
    min_excess: float = Field(0.0, ge=0, lt=1)
    """Minimum of r minus the best r between the anchor's neuron and the rotated neurons of the other model (the excess
    correlation of Gurnee et al. 2024)."""

    @property
    def name(self) -> str:
        """Name in tables and files, such as "mutual_top1_r0.3".

        >>> Criterion(k=5, min_r=0.3).name
        'mutual_top5_r0.3'
        """
        parts = [f"{'mutual_' if self.mutual else ''}top{self.k}", *(["csls"] if self.score == "csls" else [])]
        least = {"r": self.min_r, "margin": self.min_margin, "excess": self.min_excess}
        return "_".join(parts + [f"{name}{value:g}" for name, value in least.items() if value > 0])

    @property
    def is_plain(self) -> bool:
        """Whether the criterion asks only for mutual best partners and a minimum r, so that chance can be
        calculated."""
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
    """What counts as a match; claims are judged by the first criterion."""
    transport_min_r: float | None = Field(None, ge=0, lt=1)
    """Neurons are also matched one to one, by partial optimal transport of pairs whose r is above this
    (tables/transport.csv); null: they are not. This takes the whole correlation matrix, so pairs with a network of
    more than 4,096 neurons are left out."""
    engine: Literal["auto", "exact", "sketch"] = "auto"
    """`exact` correlates all pairs of neurons over all units; `sketch` finds candidates first and correlates only
    those; `auto` takes the cheaper one."""
    placement: Literal["auto", "stored", "recomputed", "one_pass"] = "auto"
    """Where matching gets activations from: from disk, from a forward pass for every tile of the correlation matrix, or
    from one forward pass for the whole matrix; `auto` takes the cheapest that fits the budgets."""
    memory_mb: int = Field(600, ge=16)
    """Memory of a matching job in MB, without its libraries; the whole correlation matrix is never stored."""
    gpu_memory_gb: float | None = Field(None, ge=2)
    """Memory of a GPU in GB for which tiles are cut when `device` is cuda; null: they are cut for memory_mb. A job cuts
    a tile further when it does not fit what is free on its GPU."""
    scratch_gb: float = Field(20, gt=0)
    """Disk space for the stored activations and sketches of the study."""
    sketch_slots: int = Field(49_152, ge=2_048)
    """Length of a sketch; more slots find candidates more reliably and cost more."""
    sketch_candidates: int = Field(128, ge=2)
    """Maximum number of candidates per neuron that are re-scored; a neuron with more is correlated with all neurons."""

    @property
    def k(self) -> int:
        """Largest number of partners that any criterion needs."""
        return max(NEAREST if criterion.score == "csls" else criterion.k for criterion in self.criteria)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [criterion.name for criterion in self.criteria]
        if len(set(names)) < len(names):
            raise ValueError(f"matching.criteria repeats itself: {names}; each criterion may be listed once")
        return self
