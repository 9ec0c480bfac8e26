"""The nulls of a study: the same measurement where two networks cannot share a neuron.

Everything that a null is, apart from its arithmetic, stands here, and every other room reads it. To add one: an entry
here, its transform in nulls/transforms.py, and the number of its draws in the configuration. `require_complete` refuses
a registry that one of the other two does not follow.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rosetta_scaling.store.errors import StudyError


@dataclass(frozen=True)
class Look:
    """How figures of counts draw a null: a marker of matplotlib, so many points to the right of the count."""

    marker: str
    shift: float


@dataclass(frozen=True)
class NullKind:
    """One null.

    name       in the configuration (NAME_draws), in file names (NAME.parquet) and in columns (null_NAME)
    label      in legends, tables and sentences
    adjective  what its units or neurons are called where several nulls are listed
    meaning    what a draw changes, in words
    changes    "one" network of a pair (in even draws the later in the alphabet, in odd draws the other), or "both"
    inside     the change is made inside the network's forward pass: it is read again, also where activations are stored
    displaced  the units of the changed network are displaced by whole documents, for which a job needs the unit table
    chance     no two units correspond: what matches there, matches by chance (see points/decomposition.py)
    compared   its growth with size is fitted and told beside that of the count
    look       in figures of counts; None: it is in tables only
    part       its place in the legend of the decomposition; None: it is not drawn there
    """

    name: str
    label: str
    adjective: str
    meaning: str
    changes: Literal["one", "both"] = "one"
    inside: bool = False
    displaced: bool = False
    chance: bool = False
    compared: bool = False
    look: Look | None = None
    part: int | None = None

    @property
    def column(self) -> str:
        return f"null_{self.name}"

    @property
    def columns(self) -> tuple[str, str, str]:
        """Mean, smallest and largest of the draws in a table of counts."""
        return self.column, f"{self.column}_low", f"{self.column}_high"


NULLS: dict[str, NullKind] = {
    kind.name: kind
    for kind in (
        NullKind(
            name="shift",
            label="shifted units",
            adjective="shifted",
            meaning="units displaced by whole documents",
            displaced=True,
            chance=True,
        ),
        NullKind(
            name="permute",
            label="permuted units",
            adjective="permuted",
            meaning="units displaced by whole documents and shuffled",
            displaced=True,
            chance=True,
            look=Look("s", 8),
            part=1,
        ),
        NullKind(
            name="gaussian",
            label="Gaussian units",
            adjective="Gaussian",
            meaning="Gaussian noise with the covariance of every layer",
            chance=True,
            part=2,
        ),
        NullKind(
            name="rotate_pre",
            label="random neurons with the nonlinearity",
            adjective="rotated before the nonlinearity",
            meaning="the inputs of every layer's nonlinearity rotated at random before it is applied",
            inside=True,
            compared=True,
            look=Look("^", 20),
            part=4,
        ),
        NullKind(
            name="rotate",
            label="rotated neurons",
            adjective="rotated",
            meaning="every layer rotated into a random orthonormal basis after its neurons are standardised",
            compared=True,
            look=Look("D", 14),
            part=0,
        ),
        NullKind(
            name="rotate_raw",
            label="rotated raw neurons",
            adjective="rotated",
            meaning="every layer rotated into a random orthonormal basis as it is",
        ),
        NullKind(
            name="untrained",
            label="untrained networks",
            adjective="untrained",
            meaning="fresh random weights",
            changes="both",
            compared=True,
            look=Look("o", -8),
            part=3,
        ),
    )
}

CENTRAL = "rotate_pre"  # its neurons compete with the real ones in the calibration (see nulls/calibration.py)
IID = "independent noise"  # null_iid is calculated, not drawn: see nulls/chance.py


def chance_nulls() -> list[str]:
    return [null.name for null in NULLS.values() if null.chance]


def displaced_nulls() -> tuple[str, ...]:
    return tuple(null.name for null in NULLS.values() if null.displaced)


def compared_nulls() -> dict[str, str]:
    """Name -> label."""
    return {null.name: null.label for null in NULLS.values() if null.compared}


def nulls_of_trained() -> list[NullKind]:
    """Those in which the weights are the trained ones."""
    return [null for null in NULLS.values() if null.changes == "one"]


def drawn_nulls() -> list[tuple[NullKind, Look]]:
    """Those that figures of counts show, from left to right."""
    return sorted(((null, null.look) for null in NULLS.values() if null.look), key=lambda drawn: drawn[1].shift)


def null_labels() -> dict[str, str]:
    """Column of a table of counts -> label, of all nulls."""
    labels = {null.column: f"null: {null.label}" for null in NULLS.values()}
    return labels | {"null_iid": f"null: {IID}"}


def parts_of_decomposition() -> dict[str, str]:
    """Column -> label of the nulls that the figure of the decomposition draws, in the order of its legend."""
    parts = sorted((null.part, null.column) for null in NULLS.values() if null.part is not None)
    return {column: null_labels()[column] for _, column in parts}


def require_complete(names: Iterable[str], place: str) -> None:
    """Raise StudyError when a place describes other nulls than this registry."""
    names = set(names)
    if missing := sorted(set(NULLS) - names):
        raise StudyError(f"{place} does not know the null {missing[0]!r} of schemas/nulls.py; add it there.")
    if unknown := sorted(names - set(NULLS)):
        raise StudyError(f"{place} has {unknown[0]!r}, which is no null of schemas/nulls.py; add an entry there.")
