"""The table that the viewer shows."""

from collections.abc import Callable

from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.schema import Column, TableSchema, number, text, truth, whole
from rosetta_scaling.schemas.tables.selectivity import KINDS, columns_of_neurons


def of_other(kind: Callable[..., Column], name: str, meaning: str) -> Column:
    """A column for every other network."""
    return kind(f"{name}.MODEL", meaning, pattern=rf"{name}\..+")


def columns_of_nulls() -> tuple[Column, ...]:
    """What every neuron reaches in every null."""
    return tuple(
        of_other(
            number, f"{null.name}{suffix}", f"{which} r of the neuron with its best partner in a draw: {null.meaning}"
        )
        for null in NULLS.values()
        for suffix, which in (("", "mean"), ("_largest", "largest"))
    )


VIEWED = TableSchema(
    name="neurons of the viewer",
    file="viewer/data/SCOPE/MODEL/neurons.parquet",
    rule="viewer",
    rows="a neuron of a network",
    columns=(
        *(column for column in columns_of_neurons() if column.name in ("layer", "channel")),
        number("depth", "layer over the last one: 0 to 1"),
        whole("mutual", "other networks in which its best partner has it as its best one, too", "networks"),
        whole("matched", "of these, networks in which the match has a q-value of at most 0.05", "networks"),
        of_other(whole, "partner", "number of its best partner in the other network; -1: none"),
        of_other(number, "r", "Pearson correlation with this partner over the units"),
        of_other(truth, "mutual", "has the partner it as its best one, too?"),
        of_other(number, "margin", "r less that of its next partner"),
        of_other(number, "excess", "r less its mean r with its best rotated partners"),
        of_other(number, "q", "least false-discovery rate at which the match is kept; only mutual ones have it"),
        of_other(number, "null", "the largest of the means of all nulls below"),
        of_other(whole, "refound", "halves of the documents in which the partner is its best one again: 0 to 2"),
        of_other(number, "heldout_r", "r on the other half, where the pair was found on one; mean of both"),
        *columns_of_nulls(),
        text("kind", "its kinds, as in the table of neurons; empty: none"),
        text("domain", "domain in which it is strongest on average"),
        text("label", "description of the judge", missing=True),
        *(column for column in columns_of_neurons() if column.name not in ("layer", "channel", *KINDS)),
        truth(
            "rosetta.CURVE.CRITERION",
            "is it a Rosetta neuron of this curve by this criterion? (anchors only)",
            pattern=r"rosetta\..+",
        ),
    ),
)


def meaning_of(column: str) -> str:
    """What a column of the viewer means, in words, with its unit."""
    found = next(one for one in VIEWED.columns if one.fits(column))
    return f"{found.meaning} ({found.unit})" if found.unit else found.meaning
