"""The table of what becomes of neurons when their network is trained further."""

from rosetta_scaling.schemas.tables.common import CURVE, POINT
from rosetta_scaling.schemas.tables.schema import TableSchema, bounds, number, text, truth
from rosetta_scaling.schemas.tables.selectivity import PLACEBO, SIZES_OF_SETS

FATES = {
    "stays": "its match in the network that was trained further is the neuron of its own layer and channel",
    "matched": "any neuron there matches it",
    "rises": "more of its strongest contexts lie in the domain than before",
    "falls": "fewer do",
}

CONTINUED = TableSchema(
    name="continued",
    file="tables/continued.csv",
    rule="continued",
    rows="an anchor that was trained further, a point of it, a set of Rosetta neurons and a fate",
    columns=(
        CURVE,
        POINT,
        text("anchor", "network whose neurons are followed"),
        text("model", "the same network after further training"),
        text("text", "what it was trained further on: a domain, or all text"),
        number("bits_before", "loss of the anchor on held-out text of this kind", "bits per byte"),
        number("bits_after", "the same after further training", "bits per byte"),
        text("set", "rule by which neurons are Rosetta neurons on the curve"),
        text("fate", "; ".join(f"{name}: {meaning}" for name, meaning in FATES.items())),
        *SIZES_OF_SETS,
        number("share", "share of the Rosetta neurons with this fate"),
        *bounds("share, over neurons"),
        number("share_others", "the same among the other neurons"),
        *PLACEBO,
        number(
            "difference",
            "share of the Rosetta neurons less that of others that are weighted to be alike in layer, mean, variance "
            "and activity",
        ),
        *bounds("difference", "difference_low", "difference_high"),
        truth("balanced", "could the others be made alike?"),
        number("null", "largest mean of a null: share of the Rosetta neurons with this fate where nothing is shared"),
    ),
)
