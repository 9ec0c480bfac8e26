"""Tables of the companion study of inverse depth scaling."""

from rosetta_scaling.schemas.tables.common import MODEL, MODEL_A, MODEL_B
from rosetta_scaling.schemas.tables.schema import Column, TableSchema, bounds, by_name, number, text, truth, whole

RUN = (text("regime", "independent, tied or tied_euler teachers"), whole("steps", "length of training", "steps"))
DEPTH = whole("depth", "layers of the student", "layers")
NETWORK = text("network", "trained or untrained")
TEACHER = whole("teacher", "number of the teacher")
SEED = whole("seed", "number of the student of this teacher")
TEACHERS = whole("teachers", "teachers", "teachers")
KIND = text("kind", "between the students of a teacher, or inside a student")
VALUE = (number("value", "mean over teachers"), *bounds("value"))
LAYERS = whole("layers", "layers of the network", "layers")
ERROR = "mean squared error"


def students(name: str, rows: str, *columns: Column) -> TableSchema:
    return TableSchema(name, f"companions/depth/tables/{name}.csv", "companion_tables", rows, columns)


def job(name: str, rows: str, *columns: Column) -> TableSchema:
    return TableSchema(
        f"{name} of a job", f"CACHE/companions/depth/KEY/JOB/{name}.parquet", "companion_job", rows, columns
    )


def language(name: str, rows: str, *columns: Column) -> TableSchema:
    return TableSchema(name, f"companions/depth/language/{name}.csv", "depth_ladder", rows, columns)


STUDENT_LOSSES = (
    number("loss", "on inputs that it was not trained on", ERROR),
    number("seen_loss", "on inputs that it was trained on", ERROR),
    number("start_loss", "before training", ERROR),
    number("identity_loss", "of a network that does nothing", ERROR),
    TEACHER,
    SEED,
    *RUN,
    DEPTH,
)
STEP_ANGLE = number("step_angle", "angle by which a layer turns the hidden state, mean", "radians")
UPDATE_ANGLE = number("update_angle", "angle between what a layer and the next one add, mean", "radians")
ANGLES = (whole("layer", "layer, from 0"), STEP_ANGLE, UPDATE_ANGLE)
LAYER_A, LAYER_B = whole("layer_a", "layer, from 0"), whole("layer_b", "layer of the partner, from 0")


def alignment(prefix: str = "", of: str = "") -> tuple[Column, ...]:
    """How diagonal the matrix of layers of matches is; `of` says which matches."""
    return (
        whole(f"{prefix}matches", f"mutual best partners{of}", "neurons"),
        number(f"{prefix}share", f"share of them at the same depth{of}"),
        number(f"{prefix}expected", f"share if partners were dealt anew{of}"),
        number(f"{prefix}kappa", f"share beyond the expected one, over the most that it could be{of}"),
        number(f"{prefix}null_low", f"lower end of kappa with partners dealt anew{of}"),
        number(f"{prefix}null_high", f"upper end of the same{of}"),
    )


JOB_TABLES = {
    "losses": job("losses", "a student", *STUDENT_LOSSES),
    "angles": job("angles", "a student and layer", *ANGLES, NETWORK, TEACHER, SEED, *RUN, DEPTH),
    "matches": job(
        "matches",
        "a neuron of a student and its best partner",
        LAYER_A,
        whole("neuron_a", "neuron of the layer, from 0"),
        LAYER_B,
        whole("neuron_b", "neuron of the partner's layer, from 0"),
        number("r", "Pearson correlation over inputs"),
        truth("mutual", "is each the best partner of the other?"),
        NETWORK,
        KIND,
        TEACHER,
        whole("seed_a", "number of the student"),
        whole("seed_b", "number of the partner's student"),
        *RUN,
        DEPTH,
    ),
}
STUDENTS = by_name(
    (
        students("losses", "a student", *STUDENT_LOSSES),
        students(
            "exponents",
            "a run, quantity and window of depths",
            *RUN,
            text("quantity", "what falls with depth"),
            whole("first", "smallest depth of the window", "layers"),
            whole("last", "largest depth of the window", "layers"),
            whole("points", "depths in it", "depths"),
            *VALUE,
            TEACHERS,
        ),
        students(
            "contrasts",
            "two kinds of runs",
            text("contrast", "which exponent less which"),
            number("value", "difference of the exponents over all depths"),
            *bounds("value"),
            TEACHERS,
        ),
        students(
            "turns",
            "a run, depth, network and kind of angle",
            *RUN,
            DEPTH,
            NETWORK,
            text("angle", "step_angle or update_angle"),
            number("value", "mean over layers and teachers", "radians"),
            *bounds("value", unit="radians"),
            TEACHERS,
        ),
        students("angles", "a run, depth, network and layer", *RUN, DEPTH, NETWORK, *ANGLES),
        students(
            "alignments",
            "a run, depth, network and teacher",
            *RUN,
            DEPTH,
            NETWORK,
            TEACHER,
            number("mean_r", "mean correlation of best partners between students"),
            number("rosetta", "share of neurons with a mutual partner of at least the least correlation"),
            number("inside_mean_r", "mean_r with partners in other layers of the same student"),
            number("inside_rosetta", "rosetta with partners in other layers of the same student"),
            *alignment(),
        ),
        students(
            "rosetta",
            "a run, depth, quantity and network",
            *RUN,
            DEPTH,
            text("quantity", "column of alignments.csv"),
            text("network", "trained, untrained, or excess: trained less untrained, teacher by teacher"),
            *VALUE,
            TEACHERS,
        ),
        students(
            "layers",
            "a run, depth, network, kind of partners and pair of layers",
            *RUN,
            DEPTH,
            NETWORK,
            KIND,
            LAYER_A,
            LAYER_B,
            whole("matches", "mutual best partners, all teachers together", "neurons"),
            number("expected", "what the sums over both layers alone would give", "neurons"),
            whole("rosetta", "matches of at least the least correlation", "neurons"),
        ),
        students(
            "runs",
            "a form, number of dropped runs and exponent (with a table of published runs)",
            text("form", "form of the loss"),
            whole("dropped", "runs left out, those of the largest losses", "runs"),
            whole("runs", "runs that are fitted", "runs"),
            text("of", "what the exponent is of"),
            number("alpha", "exponent"),
            number("se", "its standard error"),
            *bounds("alpha, over resampled runs"),
            number("share", "share of this term in the loss of the best run"),
            number("floor", "loss that is left without end", "nats per token"),
            whole("parameters", "fitted numbers"),
            number("rmse", "root mean square error of ln loss", "ln units"),
            number("aicc", "Akaike's criterion with the correction for few points; less is better"),
            number("correlation", "of ln width with ln depth over the runs"),
        ),
    )
)
FAMILY = text("family", "model family")
LANGUAGE = by_name(
    (
        language(
            "language_losses",
            "a family and form",
            FAMILY,
            text("form", "1 / depth or ln depth"),
            number("slope", "slope of the loss", "bits per byte"),
            number("intercept", "loss where the form is zero", "bits per byte"),
            number("rmse", "root mean square error", "bits per byte"),
            truth("falls", "does the loss fall with every step in depth?"),
            whole("points", "networks", "networks"),
        ),
        language(
            "language_exponents",
            "a family, trained or untrained",
            FAMILY,
            NETWORK,
            number("value", "exponent by which the step angle in the middle falls with depth"),
            *bounds("value"),
            whole("points", "networks", "networks"),
        ),
        language("language_angles", "a network", MODEL, NETWORK, LAYERS, STEP_ANGLE, UPDATE_ANGLE),
        language(
            "language_pairs",
            "a pair of networks, and a draw of untrained ones",
            MODEL_A,
            MODEL_B,
            LAYERS,
            text("kind", "real or untrained"),
            *alignment(),
            *alignment("middle_", ", neither in a first nor a last layer"),
        ),
        language(
            "language_drawn",
            "a point of the figure",
            text("panel", "loss, step_angle, update_angle or kappa"),
            text("name", "family, or pair of families"),
            text("kind", "trained, untrained, or middle: matches in the middle"),
            LAYERS,
            number("value", "what is drawn"),
        ),
    )
)
LANGUAGE_ANGLES = TableSchema(
    name="layer angles",
    file="companions/depth/angles/MODEL.parquet",
    rule="layer_angles",
    rows="a layer of a language model, trained and untrained",
    columns=(NETWORK, LAYERS, *ANGLES),
)
TABLES = (*JOB_TABLES.values(), *STUDENTS.values(), *LANGUAGE.values(), LANGUAGE_ANGLES)
