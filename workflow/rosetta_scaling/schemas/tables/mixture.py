"""Tables of the companion study of capacity, interference and rare tasks."""

from rosetta_scaling.schemas.tables.schema import Column, TableSchema, bounds, by_name, number, text, truth, whole

WIDTH = whole("width", "neurons of the hidden layer", "neurons")
SEED = whole("seed", "number of the network")
TASK = whole("task", "number of the task, from 1: the most frequent")
MOMENT = text("moment", "burst (at its end), probe (some steps later) or end")
GAP = whole("gap", "examples of the rare task that are given at once", "examples")
KIND = text("kind", "trained, or the null: untrained or rotated")
ERROR = "loss; 1: nothing learned"


def mean(name: str, meaning: str, unit: str = "") -> tuple[Column, Column, Column]:
    """A mean over seeds with the ends of its interval."""
    return number(name, meaning, unit), *bounds(name, f"{name}_low", f"{name}_high", unit)


def mixture(name: str, rows: str, *columns: Column) -> TableSchema:
    return TableSchema(name, f"companions/mixture/tables/{name}.csv", "companion_tables", rows, columns)


def job(folder: str, name: str, rows: str, *columns: Column) -> TableSchema:
    file = f"CACHE/companions/mixture/KEY/{folder}/{name}.csv"
    return TableSchema(f"{name} of a job", file, "companion_job", rows, columns)


JOB_TABLES = {
    "population": job(
        "population",
        "population",
        "a linear network and a feature",
        WIDTH,
        SEED,
        TASK,
        whole("feature", "number of the feature of the task, from 1"),
        number("loss", "of the output of the feature", ERROR),
        number("energy", "of the feature in the span of the encoder: 0 to 1"),
    ),
    "retention": job(
        "retention",
        "retention",
        "a network and a moment",
        WIDTH,
        SEED,
        MOMENT,
        number("rare_loss", "of the rare task, with its decoder as the burst left it", ERROR),
        number("common_loss", "of the common tasks", ERROR),
        number("energy", "of the features of the rare task in the span, mean weighed by its spectrum"),
        number("gradient", "norm of the gradient of the common loss by the encoder"),
    ),
    "injection": job(
        "injection",
        "injection",
        "a network and a gap",
        WIDTH,
        GAP,
        SEED,
        number("loss", "of the rare task, mean over time", ERROR),
        number("before", "of the rare task before an injection", ERROR),
        number("after", "of the rare task after an injection", ERROR),
        number("cosine", "mean cosine of the common and the rare gradient by the encoder"),
        number("spread", "root mean square of the same cosine"),
        number("at_injection", "mean cosine when the rare task is injected"),
    ),
    "allocation": job(
        "rosetta",
        "allocation",
        "a network and a task",
        WIDTH,
        whole("network", "number of the network"),
        TASK,
        number("loss", "of the task", ERROR),
        whole("neurons", "neurons that the task needs, by ablation", "neurons"),
        number("purity", "how far these neurons serve this task only"),
    ),
    "rosetta": job(
        "rosetta",
        "rosetta",
        "a set of networks and a task",
        WIDTH,
        KIND,
        whole("networks", "networks of the set", "networks"),
        whole("set", "number of the set; the last is of all networks"),
        TASK,
        number("recovered", "share of the features of the task that a network has a neuron for"),
        number("rosetta", "share of the same that are Rosetta in the set"),
        number("useful", "share of the features recovered that are among those of the largest utilities"),
        number("frequent", "share of the features recovered that are among those of the most frequent tasks"),
        number("neurons", "Rosetta neurons, mean over the networks", "neurons"),
        number("copies", "neurons that another one of their network copies, mean", "neurons"),
    ),
}
KEPT = whole("kept", "features of the task that the optimal network has", "features")
OPTIMUM = number("optimum", "least loss in closed form", ERROR)
SHARED = "share of its features that are Rosetta"

TABLES_OF_STUDY = by_name(
    (
        mixture(
            "optimum",
            "a width of linear networks",
            WIDTH,
            OPTIMUM,
            *mean("loss", "that was reached", ERROR),
            *mean("excess", "loss beyond the optimum, as a share of it"),
            *mean("kept_utility", "energy in the span of the features of the largest utilities"),
            *mean("kept_frequency", "the same of the features of the most frequent tasks, as many"),
            number("gap", "between the utilities of the last feature that is kept and the first that is not"),
            truth("told_apart", "are these different features, and their utilities no tie?"),
        ),
        mixture(
            "losses",
            "a width of linear networks and a task",
            WIDTH,
            TASK,
            *mean("loss", "of the task", ERROR),
            OPTIMUM,
            KEPT,
        ),
        mixture(
            "retention",
            "a width and moment",
            WIDTH,
            MOMENT,
            *mean("rare_loss", "of the rare task, with its decoder as the burst left it", ERROR),
            *mean("common_loss", "of the common tasks", ERROR),
            *mean("energy", "of the features of the rare task in the span"),
            *mean("gradient", "norm of the gradient of the common loss by the encoder"),
        ),
        mixture(
            "injection",
            "a width and gap",
            WIDTH,
            GAP,
            *mean("loss", "of the rare task, mean over time", ERROR),
            *mean("before", "of the rare task before an injection", ERROR),
            *mean("after", "of the rare task after an injection", ERROR),
            *mean("swing", "before less after", ERROR),
            *mean("cosine", "cosine of the common and the rare gradient by the encoder"),
            *mean("spread", "root mean square of the same cosine"),
            *mean("beyond_chance", "spread over chance"),
            *mean("at_injection", "cosine when the rare task is injected"),
            number("chance", "root mean square cosine of random directions"),
        ),
        mixture(
            "gaps",
            "a width",
            WIDTH,
            *mean("effect", "rare loss at the largest gap less that at the smallest, from the same start", ERROR),
        ),
        mixture(
            "trends",
            "a quantity and gap",
            text("quantity", "column of retention.csv or injection.csv"),
            whole("gap", "gap of the injections; 0: none", "examples"),
            number("value", "rank correlation with width"),
            *bounds("value"),
        ),
        mixture(
            "relu",
            "a width of networks with ReLU",
            WIDTH,
            OPTIMUM,
            *mean("loss", "that was reached", ERROR),
            *mean("excess", "loss beyond the optimum, as a share of it"),
            *mean("useful", "share of the features recovered that are among those of the largest utilities"),
            *mean("frequent", "share of the features recovered that are among those of the most frequent tasks"),
            truth("tied", "are the utilities at this width a tie?"),
        ),
        mixture(
            "allocation",
            "a width and task",
            WIDTH,
            TASK,
            *mean("loss", "of the task", ERROR),
            *mean("neurons", "that the task needs, by ablation", "neurons"),
            *mean("purity", "how far these neurons serve this task only"),
            OPTIMUM,
            KEPT,
        ),
        mixture(
            "rosetta",
            "a width, kind of networks and task",
            WIDTH,
            KIND,
            TASK,
            *mean("recovered", "share of its features that a network has a neuron for"),
            *mean("rosetta", SHARED),
            number("together", f"{SHARED} among all networks at once"),
            number("predicted", "share of its features that the optimal network has"),
        ),
        mixture(
            "counts",
            "a width and kind of networks",
            WIDTH,
            KIND,
            *mean("neurons", "Rosetta neurons", "neurons"),
            *mean("copies", "neurons that another one of their network copies", "neurons"),
        ),
        mixture(
            "critical",
            "a task",
            TASK,
            number("frequency", "share of the data"),
            number("decay", "exponent of its spectrum"),
            whole("first", "smallest width with its first feature, in closed form", "neurons"),
            whole("whole", "smallest width with all of them, in closed form", "neurons"),
            number("predicted", "width at which half of its features are kept", "neurons"),
            *mean("recovered", "the same of features that networks have neurons for", "neurons"),
            *mean("rosetta", "the same of features that are Rosetta", "neurons"),
            *mean("ratio", "rosetta over predicted"),
        ),
        mixture(
            "law",
            "a law, its exponents and a width",
            text("law", "mixture, endless data or compute-optimal"),
            number("a", "exponent of the frequencies, or of size"),
            number("b", "exponent of the spectra, or of data"),
            number("width", "neurons, or size"),
            number("loss", "loss that is left above its limit", ERROR),
        ),
        mixture(
            "exponents",
            "a law, or a range of widths",
            text("of", "law of law.csv; growing or spare: the count of Rosetta neurons below and from all features on"),
            number("a", "exponent of the frequencies, or of size"),
            number("b", "exponent of the spectra, or of data"),
            number("exponent", "fitted exponent"),
            *bounds("exponent"),
            number("expected", "exponent in closed form"),
            whole("points", "widths", "widths"),
        ),
    )
)
TABLES = (*JOB_TABLES.values(), *TABLES_OF_STUDY.values())
