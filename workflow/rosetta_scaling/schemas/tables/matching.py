"""Tables of matches: best partners of neurons of two networks, as they are, as nulls and as replicates."""

from collections.abc import Callable
from dataclasses import replace

from rosetta_scaling.schemas.names import MARKS, REPLICATES
from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.common import DRAW
from rosetta_scaling.schemas.tables.schema import Column, TableSchema, number, text, truth, whole


def sides(name: str, kind: Callable[..., Column], meaning: str) -> tuple[Column, Column]:
    """A column of A and one of B; in the meaning, THIS stands for the side and OTHER for the other one."""
    return (
        kind(f"{name}_a", meaning.replace("THIS", "A").replace("OTHER", "B")),
        kind(f"{name}_b", meaning.replace("THIS", "B").replace("OTHER", "A")),
    )


NEURONS_OF_PAIR = sides("neuron", whole, "number of the neuron of THIS, from 0 over all layers")
RANKS = sides("rank", whole, "rank of the pair among the partners in OTHER of the neuron of THIS; 0: none")
MARGINS = sides("margin", number, "r less that of the next partner in OTHER of the neuron of THIS")
PARTNERS = (
    *NEURONS_OF_PAIR,
    number("r", "Pearson correlation over the units"),
    *RANKS,
    *MARGINS,
    *sides("csls_rank", whole, "the same rank by 2 r less the mean r of both neurons with their nearest ones; 0: none"),
)
MARKS_OF_PAIR = sides(
    "mark", text, f"mark of the neuron of THIS ({', '.join(MARKS)}); for marked ones nothing competes"
)
CHANGED = text("changed", "network that the draw changed: a, b or both")
SAMPLED = (
    truth("sampled_a", "is the neuron of A among those that nulls look at? (where nulls.rows is set)", optional=True),
    truth("sampled_b", "is the neuron of B among those that nulls look at? (where nulls.rows is set)", optional=True),
)
PLACES = (
    whole("layer_a", "layer of the neuron of A, from 0"),
    whole("channel_a", "channel of the neuron of A, from 0"),
    whole("layer_b", "layer of the neuron of B, from 0"),
    whole("channel_b", "channel of the neuron of B, from 0"),
)

MATCHES = TableSchema(
    name="matches",
    file="matches/PAIR/matches.parquet",
    rule="match_pair",
    rows="a pair of neurons of two networks, one of which is among the best partners of the other",
    columns=(
        *PARTNERS,
        number("excess_a", "r less the mean r of the neuron of A with its best rotated partners of B"),
        number("excess_b", "the same of the neuron of B with rotated neurons of A"),
        *MARKS_OF_PAIR,
        number("q_a", "least false-discovery rate at which the match is kept when neurons of B compete for that of A"),
        number("q_b", "the same when neurons of A compete for that of B"),
        number("local_fdr_a", "share of false ones among matches of such an excess, where neurons of B compete"),
        number("local_fdr_b", "the same when neurons of A compete"),
        *PLACES,
    ),
)
MATCHES_WITHOUT_NULLS = TableSchema(
    name="matches without nulls",
    file="matches_without_nulls/PAIR/matches.parquet",
    rule="match_without_nulls",
    rows="as in matches.parquet, without what only nulls can tell",
    columns=(*PARTNERS, *PLACES),
)
SNAPSHOTS = TableSchema(
    name="snapshots of a pair",
    file="matches/PAIR/snapshots.parquet",
    rule="match_pair",
    rows="as in matches.parquet, after a part of the units",
    columns=(
        *PARTNERS,
        # A pair without snapshots has no rows, and the columns of its matches.
        *(replace(column, meaning="without rows only", optional=True) for column in MATCHES.columns[len(PARTNERS) :]),
        whole("draw", "units after which the products were read", "units"),
    ),
)
NULL_DRAW = TableSchema(
    name="draw of a null",
    file="work/nulls/.../NULLn.parquet",
    rule="nulls",
    rows="as in matches.parquet, of one draw (removed when all are done)",
    columns=(*PARTNERS, *SAMPLED),
)
NULL_TABLE = TableSchema(
    name="draws of a null",
    file=f"nulls/PAIR/NULL.parquet (NULL: {', '.join(NULLS)})",
    rule="nulls",
    rows="as in matches.parquet, of every draw",
    columns=(*PARTNERS, *SAMPLED, DRAW, CHANGED),
)
OWN = TableSchema(
    name="own partners",
    file="nulls/PAIR/own.parquet",
    rule="nulls",
    rows="a neuron and its best partner in its own network (draw 0: of A, draw 1: of B)",
    columns=(*NEURONS_OF_PAIR, number("r", "Pearson correlation over the units"), *RANKS, DRAW, CHANGED),
)
REPLICATE = TableSchema(
    name="replicates of a pair",
    file=f"stability/PAIR/KIND.parquet (KIND: {', '.join(REPLICATES)})",
    rule="stability",
    rows="as in matches.parquet: of a half of the documents, of resampled documents, of equally many random neurons, "
    "and of these with one network rotated",
    columns=(*PARTNERS, DRAW, number("heldout_r", "r on the other half of the documents (KIND half)", optional=True)),
)
PLANTED_PAIRS = TableSchema(
    name="planted pairs",
    file="stability/PAIR/planted.parquet",
    rule="stability",
    rows="a pair of neurons and an r at which one is mixed into the other",
    columns=(
        *NEURONS_OF_PAIR,
        number("r", "Pearson correlation at which the pair is planted"),
        *RANKS,
        *MARGINS,
        text("changed", "network whose neuron is the mixture: a or b"),
    ),
)
TABLES = (MATCHES, MATCHES_WITHOUT_NULLS, SNAPSHOTS, NULL_TABLE, OWN, REPLICATE, PLANTED_PAIRS)
