"""Tables of neurons that are matched one to one by partial optimal transport."""

from rosetta_scaling.schemas.nulls import CENTRAL, NULLS
from rosetta_scaling.schemas.tables.common import MODEL_A, MODEL_B, NOTE, POINT
from rosetta_scaling.schemas.tables.matching import NEURONS_OF_PAIR
from rosetta_scaling.schemas.tables.schema import TableSchema, bounds, number, text, truth, whole

NULL = NULLS[CENTRAL]

TRANSPORTED = TableSchema(
    name="transported pairs",
    file="transport/PAIR.parquet",
    rule="transport_pair",
    rows="a pair of neurons with an r above matching.transport_min_r that is transported, or each other's best partner",
    columns=(
        *NEURONS_OF_PAIR,
        number("r", "Pearson correlation over the units"),
        truth("transported", "does partial optimal transport match them?"),
        truth("mutual", "is each the best partner of the other?"),
        text("variant", f"real: the networks as they are; {CENTRAL}0, {CENTRAL}1, ...: draws of this null"),
    ),
)
COUNTS = (
    whole("transported", "pairs of neurons that are transported", "pairs", missing=True),
    *(
        number(column, f"{which} of the draws: {NULL.meaning}", "pairs")
        for column, which in zip(NULL.columns, ("mean", "smallest", "largest"), strict=True)
    ),
    number("excess", "transported less the mean of the draws", "pairs"),
    *bounds("excess, which holds zero where the pair may be one more draw", "excess_low", "excess_high", "pairs"),
    whole("both", "transported pairs that are mutual best partners", "pairs", missing=True),
    whole("mutual", "mutual best partners with an r above min_r", "pairs", missing=True),
    number("mutual_null", f"the same, mean of the draws: {NULL.meaning}", "pairs"),
)
COUNTED = [column.name for column in COUNTS]
TRANSPORT = TableSchema(
    name="transport",
    file="tables/transport.csv",
    rule="transport",
    rows="a pair of networks that share a point (only where matching.transport_min_r is set)",
    columns=(
        POINT,
        MODEL_A,
        MODEL_B,
        whole("neurons_a", "neurons of network A", "neurons"),
        whole("neurons_b", "neurons of network B", "neurons"),
        number("min_r", "r above which neurons are matched"),
        *COUNTS,
        NOTE,
    ),
)
