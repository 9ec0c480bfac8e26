"""Tables of the companion study of data filtering."""

from rosetta_scaling.schemas.tables.schema import Column, TableSchema, bounds, by_name, number, text, truth, whole

TASK = text("task", "target of the choice")
ARM = text("arm", "way to choose, by its name in the registry")
SEED = whole("seed", "number of the draw")
LABELS = whole("labels", "labelled documents of the target, beside the probe text; 0 for arms that look at none")
CURVE = text("curve", "curve whose anchor has read the documents; empty for arms that look at no neurons", missing=True)
POINT = text("rung", "its size", missing=True)
SHARE = number("learning_rate", "peak learning rate, as a share of the one that the network was trained with")
BITS = "bits per byte"
QUALITY = (
    number("f1", "F1 of the chosen documents, among those of the pool"),
    number("auprc", "area under the curve of precision over recall, of the scores"),
)

POOL = TableSchema(
    "pool",
    "companions/filtering/jobs/TASK/pool.parquet",
    "filtering_pool",
    "a document of a task",
    (
        whole("document", "its number, in random order"),
        text("role", "pool: to choose from; label: to be given as known; test: to test on; probe: known to all"),
        truth("target", "is it of the target?"),
        text("domain", "kind of text"),
        whole("original", "document of the corpus that it is a piece of"),
        text("text", "the document"),
        whole("bytes", "its length", "bytes"),
        whole("tokens", "its length for the network that is trained further", "tokens"),
    ),
)
SCORES = TableSchema(
    "scores",
    "companions/filtering/jobs/TASK/*/scores.parquet",
    "filtering_text, filtering_neurons",
    "an arm, number of labels and seed",
    (
        ARM,
        LABELS,
        SEED,
        *QUALITY,
        whole("tokens", "tokens that were chosen", "tokens"),
        number("seconds", "processor time of features and choice", "seconds"),
    ),
)
CHOSEN = TableSchema(
    "chosen",
    "companions/filtering/jobs/TASK/*/chosen.parquet",
    "filtering_text, filtering_neurons",
    "a document that an arm chose with training_labels",
    (ARM, SEED, whole("document", "number of the document")),
)
NEURONS = TableSchema(
    "neurons",
    "companions/filtering/jobs/TASK/CURVE-POINT/neurons.parquet",
    "filtering_neurons",
    "a set of neurons from which the rule chose one",
    (
        text("candidates", "Rosetta neurons, or all others"),
        whole("size", "number of candidates", "neurons"),
        whole("neuron", "the chosen one", missing=True),
        whole("layer", "its layer", missing=True),
        whole("hits", "how many of its strongest contexts are of the target", missing=True),
        number("strength", "mean activation there, in standard deviations above the mean"),
    ),
)
RUNS = TableSchema(
    "runs",
    "companions/filtering/jobs/TASK/runs.parquet",
    "filtering_training",
    "a network that was trained further",
    (
        text("arm", "what it was trained on: a choice, all_data, or nothing (start)"),
        SHARE,
        SEED,
        number("target_bits", "loss on the target", BITS),
        number("other_bits", "loss on other text", BITS),
    ),
)


def filtering(name: str, rows: str, *columns: Column) -> TableSchema:
    return TableSchema(name, f"companions/filtering/tables/{name}.csv", "filtering_tables", rows, columns)


MEANS = (
    number("f1", "mean F1 of the chosen documents"),
    *bounds("the mean F1", "f1_low", "f1_high"),
    number("auprc", "mean area under the curve of precision over recall"),
    number("seconds", "mean processor time", "seconds"),
)
TABLES_OF_STUDY = by_name(
    (
        filtering(
            "pools",
            "a task",
            TASK,
            whole("documents", "documents to choose from", "documents"),
            whole("targets", "of the target", "documents"),
            whole("tokens", "tokens to choose from", "tokens"),
            whole("budget", "tokens that are chosen: those of the target", "tokens"),
            whole("known", "documents of the target in the probe text", "documents"),
            whole("labels", "documents to label", "documents"),
            whole("test_bytes", "text of the target to test on", "bytes"),
        ),
        filtering(
            "arms",
            "an arm: the one table of all",
            ARM,
            text("label", "its name for people"),
            text("looks", "what it looks at"),
            truth("learns", "does it learn from labelled documents?"),
            text("cost", "what it takes"),
            LABELS,
            *MEANS,
            number("gain_low_rate", "share of the oracle's gain over random text, at the lower learning rate"),
            number("gain_high_rate", "the same at the higher rate"),
            number("other_low_rate", "loss on other text, less that before training, at the lower rate", BITS),
            number("other_high_rate", "the same at the higher rate", BITS),
        ),
        filtering("selection", "a task, arm, number of labels and size", TASK, ARM, LABELS, POINT, *MEANS),
        filtering("chosen_neurons", "a network, task and set of neurons", TASK, CURVE, POINT, *NEURONS.columns),
        filtering(
            "training",
            "a task, arm and learning rate",
            TASK,
            ARM,
            SHARE,
            number("target_bits", "mean loss on the target", BITS),
            *bounds("the loss", "target_low", "target_high", BITS),
            number("other_bits", "mean loss on other text", BITS),
            number("lost", "share of the oracle's gain over random text that is lost"),
            *bounds("this share, over seeds", "lost_low", "lost_high"),
        ),
        filtering(
            "contrasts",
            "a comparison and task, which is a vote on a claim",
            text("comparison", "what is compared"),
            TASK,
            number("difference", "mean difference of F1"),
            *bounds("the difference"),
            whole("networks", "networks over which it is averaged", "networks"),
        ),
        filtering("scores", "a task, network, arm, number of labels and seed", TASK, CURVE, POINT, *SCORES.columns),
        filtering("runs", "a task and a network that was trained further", TASK, *RUNS.columns),
    )
)
TABLES = (POOL, SCORES, CHOSEN, NEURONS, RUNS, *TABLES_OF_STUDY.values())
