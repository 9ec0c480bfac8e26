"""Tables of points: their Rosetta neurons, counts with nulls, and where the matches lie."""

from rosetta_scaling.schemas.nulls import NULLS
from rosetta_scaling.schemas.tables.common import (
    CHANNEL,
    CRITERION,
    CURVE,
    LAYER,
    MODEL,
    MODEL_A,
    MODEL_B,
    NEURON,
    POINT,
)
from rosetta_scaling.schemas.tables.schema import Column, TableSchema, bounds, by_name, number, text, truth, whole

MARK = text(
    "mark", "massive (far beyond what is usual in its layer), start (it fires where passages start), both, or none"
)
COUNT = whole("count", "Rosetta neurons of the anchor", "neurons")


def columns_of_nulls() -> tuple[Column, ...]:
    """Mean, smallest and largest draw of every null."""
    return tuple(
        number(column, f"{which} of the draws: {null.meaning}", "neurons")
        for null in NULLS.values()
        for column, which in zip(null.columns, ("mean", "smallest", "largest"), strict=True)
    )


def of_point(name: str, rows: str, *columns: Column) -> TableSchema:
    return TableSchema(name, f"rosetta/CURVE/POINT.{name}.csv", "rosetta_neurons", rows, columns)


ROSETTA = TableSchema(
    name="rosetta",
    file="rosetta/CURVE/POINT.parquet",
    rule="rosetta_neurons",
    rows="a neuron of the anchor of the point",
    columns=(
        NEURON,
        LAYER,
        CHANNEL,
        MARK,
        whole(
            "partner_MODEL",
            "best partner in the other network that meets the first criterion, or else is mutual; -1: none",
            pattern="partner_.+",
        ),
        number("r_MODEL", "Pearson correlation with this partner", pattern="r_.+"),
        truth(
            "CRITERION",
            "is it a Rosetta neuron by this criterion? (_strict: its partners match each other, too; _fdr05: its "
            "matches survive a false-discovery rate of 5%)",
            pattern=".*top[0-9]+.*",
        ),
    ),
)

COUNTS = of_point(
    "counts",
    "a match criterion",
    CRITERION,
    COUNT,
    number("fraction", "count over all neurons of the anchor"),
    whole("marked", "those among them that are massive or fire on starts; no list and no win counts them", "neurons"),
    *columns_of_nulls(),
    number("null_iid", "expected count where all correlations are those of independent noise", "neurons"),
    number("excess", "count less the largest mean of a null", "neurons"),
    number("calibrated_05", "Rosetta neurons in the list with a false-discovery rate of 5%", "neurons"),
    number("calibrated_05_null", "expected false ones among them: neurons that decoys win there, per draw", "neurons"),
    number("calibrated_01", "Rosetta neurons in the list with a false-discovery rate of 1%", "neurons"),
    number("calibrated_01_null", "expected false ones among them", "neurons"),
    number("wins", "neurons that real partners win in the competition with decoys", "neurons"),
    number("decoy_wins", "neurons that decoys win in it, per draw", "neurons"),
    number("beyond_decoys", "wins less decoy_wins, which estimates the shared neurons; may be negative", "neurons"),
    *bounds("beyond_decoys, over draws of decoys", "beyond_decoys_low", "beyond_decoys_high", "neurons"),
    number("beyond_decoys_se", "standard error of beyond_decoys", "neurons"),
    number("splithalf_jaccard", "Rosetta neurons of both halves of the documents over those of either"),
    number("splithalf_r", "mean correlation, on one half, of the matches of the other"),
    *bounds("count, over resampled documents", "count_low", "count_high", "neurons"),
    whole(
        "closer_than_own", "Rosetta neurons whose partners are closer than any neuron of their own network", "neurons"
    ),
    whole("equal_n", "neurons of the random subsets: as many as the smallest network has", "neurons"),
    number("equal_n_count", "mean count among such subsets of all networks", "neurons"),
    number("equal_n_null", "the same with rotated neurons", "neurons"),
    number("mean_r", "mean correlation of Rosetta neurons with their partners"),
)
DECOMPOSITION = of_point(
    "decomposition",
    "the primary criterion",
    CRITERION,
    COUNT,
    whole("chance", "Rosetta neurons no stronger than those found where no two units correspond", "neurons"),
    number("subspace", "of the others, those that have their like in another null at the same correlation", "neurons"),
    number("neurons", "the rest, which only shared neurons explain, less what a draw of a null has", "neurons"),
    *bounds("neurons, over documents and draws", "neurons_low", "neurons_high", "neurons"),
    number("chance_share", "chance over count"),
    number("subspace_share", "subspace over count"),
    number("neurons_share", "neurons over count"),
)
SNAPSHOTS = of_point(
    "snapshots",
    "a match criterion and a number of units",
    CRITERION,
    whole("units", "units that were read", "units"),
    number("count", "Rosetta neurons of the anchor", "neurons"),
    *bounds("an extrapolated count", unit="neurons"),
    truth("extrapolated", "was the count predicted by a power law of the others?"),
)
LAYERS = of_point(
    "layers",
    "a layer of the anchor and one of another network",
    MODEL_A,
    MODEL_B,
    whole("layer_a", "layer of the anchor, from 0"),
    whole("layer_b", "layer of the other network, from 0"),
    whole("matches", "Rosetta neurons of this layer whose partner lies in that one", "neurons"),
    number("expected", "what the sums over both layers alone would give", "neurons"),
)
DEPTH = of_point(
    "depth",
    "a bin of relative depth of the anchor",
    MODEL,
    number("depth", "middle of the bin; 0: first layer, 1: last"),
    whole("rosetta", "Rosetta neurons there", "neurons"),
    number("rosetta_share", "share of all Rosetta neurons"),
    number("neurons_share", "share of all neurons"),
)
DIAGONAL = of_point(
    "diagonal",
    "the anchor and another network",
    MODEL_A,
    MODEL_B,
    whole("matches", "Rosetta neurons", "neurons"),
    whole("on_diagonal", "those whose partner lies at the same relative depth", "neurons"),
    number("share", "on_diagonal over matches"),
    *bounds("share"),
    number("expected", "share if partners were dealt anew among the matches"),
    number("rotated", "mean share of matches with rotated neurons"),
    number("rotated_low", "smallest draw"),
    number("rotated_high", "largest draw"),
)
ISOLATION = of_point(
    "isolation",
    "a judged criterion and a kind of matches",
    CRITERION,
    text("kind", "real, or the null"),
    number("matches", "matches, mean over draws", "neurons"),
    number("isolation", "mean isolation r / (1 - r) of matched neurons, mean over draws"),
    number("isolation_low", "smallest draw"),
    number("isolation_high", "largest draw"),
    number("rank_slope", "exponent by which isolation falls with rank within a pair (beta)"),
)
ABOVE_R = of_point(
    "above_r",
    "a correlation, and the count or a null",
    CRITERION,
    number("r", "a correlation"),
    text("source", "count, or the null"),
    number("count", "Rosetta neurons that are at least so strong, of a null the mean of the draws", "neurons"),
    number("low", "lower end of the interval over resampled documents; of a null, the smallest draw", "neurons"),
    number("high", "upper end of the same; of a null, the largest draw", "neurons"),
)
LEVEL = number("q", "false-discovery rate of the list; 1: every neuron that its real partner wins, without a threshold")
CORRECTED = bounds("corrected", "corrected_low", "corrected_high", "neurons")
CORRECTED_SE = number("corrected_se", "standard error of corrected", "neurons")
PLANTED = of_point(
    "planted",
    "a false-discovery rate and an r of planted pairs",
    CRITERION,
    LEVEL,
    number("r", "Pearson correlation at which pairs are planted"),
    whole("planted", "neurons of the anchor that were given a partner in every other network, each alone", "neurons"),
    whole("found", "those that the list would hold", "neurons"),
    number("power", "found over planted"),
    *bounds("power"),
    number("strong", "where half are found: Rosetta neurons in the list with an r of at least this one", "neurons"),
    number(
        "corrected",
        "shared neurons with an r of at least this one: strong ones over the power at their r, less those of decoys",
        "neurons",
    ),
    *CORRECTED,
    CORRECTED_SE,
)
LISTS = of_point(
    "lists",
    "a false-discovery rate",
    CRITERION,
    LEVEL,
    number("count", "Rosetta neurons in the list", "neurons"),
    number("false", "expected false ones among them: neurons that decoys win there, per draw", "neurons"),
    number(
        "half_r",
        "r at which half of the planted pairs are found; the least r that was planted where more are found there, "
        "empty where half are found nowhere",
    ),
    *bounds("half_r", "half_r_low", "half_r_high"),
    number("strong", "Rosetta neurons in the list with an r of at least half_r", "neurons"),
    number(
        "corrected",
        "shared neurons with an r of at least half_r: strong ones over the power at their r, less those of decoys",
        "neurons",
    ),
    *CORRECTED,
)
RECURRENCE = of_point(
    "recurrence",
    "the primary criterion, at points of three networks or more",
    CRITERION,
    whole("networks", "other networks of the point", "networks"),
    whole("one", "neurons of the anchor that are matched in at least one of them", "neurons"),
    number("one_independent", "the same if the networks in which a neuron is matched were independent", "neurons"),
    number("one_decoys", "the same where decoys stand for the other networks, per draw", "neurons"),
    whole("all", "neurons of the anchor that are matched in all of them", "neurons"),
    number("all_independent", "the same if they were independent", "neurons"),
    number("all_decoys", "the same with decoys, per draw", "neurons"),
    number("again", "probability that a neuron matched in one of them is matched in another one"),
    *bounds("again, over neurons", "again_low", "again_high"),
    number("again_independent", "the same if they were independent"),
    number("again_decoys", "the same with decoys, mean over draws"),
)
OF_POINT = by_name(
    (COUNTS, ABOVE_R, PLANTED, LISTS, DECOMPOSITION, SNAPSHOTS, LAYERS, DEPTH, DIAGONAL, ISOLATION, RECURRENCE)
)

SIZES = (
    CURVE,
    POINT,
    text("models", "networks of the point, the anchor first"),
    text("anchor", "network whose neurons are counted"),
    number("neurons", "neurons per network, mean over the networks of the point", "neurons"),
    number("parameters", "parameters per network, mean", "parameters"),
    number("non_embedding_parameters", "parameters without embeddings, mean", "parameters"),
    number("hidden_size", "width of the residual stream, mean", "channels"),
    number("training_flops", "6 x parameters without embeddings x training tokens, mean", "operations"),
    whole("anchor_neurons", "neurons of the anchor", "neurons"),
    whole("constant_neurons", "neurons of the anchor that never change, and so cannot match", "neurons"),
)
AT_COMMON_R = (
    number(
        "common_r", "least r at which, at every point of the study, half of the planted pairs win their competition"
    ),
    number("corrected", "shared neurons with an r of at least common_r (see planted)", "neurons"),
    *CORRECTED,
    CORRECTED_SE,
)


def of_study(schema: TableSchema) -> TableSchema:
    first = (*SIZES, *AT_COMMON_R) if schema.name == "counts" else (CURVE, POINT)
    return schema.after(*first, file=f"tables/{schema.name}.csv", rule="tables", rows=f"a point, and {schema.rows}")


SEEDS = TableSchema(
    name="seeds",
    file="tables/seeds.csv",
    rule="tables",
    rows="a point and criterion of curves that differ in nothing but seeds",
    columns=(
        text("architectures", "architectures of the families"),
        POINT,
        CRITERION,
        text("curves", "the curves"),
        whole("replicates", "number of these curves"),
        number("mean", "mean count", "neurons"),
        number("deviation", "standard deviation of the count between curves", "neurons"),
    ),
)
OF_STUDY = by_name((*map(of_study, OF_POINT.values()), SEEDS))
