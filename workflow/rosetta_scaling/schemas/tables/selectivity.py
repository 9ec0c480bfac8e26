"""Tables of selectivity: of every neuron, and of Rosetta neurons against the others."""

from rosetta_scaling.schemas.metrics import METRICS
from rosetta_scaling.schemas.tables.common import CHANNEL, CURVE, LAYER, MODEL, NEURON, NEURONS, POINT, UNIT
from rosetta_scaling.schemas.tables.schema import Column, TableSchema, bounds, by_name, number, text, truth, whole

KINDS = {
    "dead": "is it never above zero?",
    "always_on": "is it above zero on 95% of the units?",
    "unigram": "does a single text explain a quarter of the variance?",
    "previous_token": "does the text before explain a tenth of it, and more than the text itself?",
    "position": "does the place in the passage explain a tenth of it?",
    "domain": "does the domain explain a tenth of it, with p of at most 0.05?",
    "prediction": "is vocab_kurtosis_folded above 7 and the skewness positive?",
    "suppression": "is vocab_kurtosis_folded above 7 and the skewness negative?",
    "one_factor": "does one planted factor explain two thirds of what contents explain, and these a tenth?",
}
# Columns of the table of neurons that are no metrics: what metrics and kinds are made from.
EVIDENCE = {
    "mean": "mean of the activation over units",
    "variance": "variance of the same",
    "maximum": "largest activation",
    "fraction_active": "share of units above zero",
    "fraction_strong": "share of units whose magnitude exceeds twice the root mean square",
    "treves_rolls": "sparsity of the magnitude after Treves and Rolls",
    "token_information_null": "token_information when texts are displaced by whole documents",
    "token_entropy": "entropy of the activity over texts",
    "token_r2": "share of the variance that the text of the unit explains",
    "previous_r2": "share of the variance that the text before explains",
    "position_r2": "share of the variance that the place in the passage explains",
    "unigram_r2": "share of the variance that the best single text explains",
    "domain_information_null": "domain_information when domains are dealt anew to documents",
    "domain_p": "p of domain_information by these draws",
    "domain_entropy": "entropy of the activity over domains",
    "domain_selectivity": "how far the activity prefers one domain",
    "domain_r2": "share of the variance that the domain explains",
    "vocab_skewness_folded": "vocab_skewness with the gain of the final norm folded in, and centred",
    "vocab_variance_folded": "vocab_variance with the gain of the final norm folded in, and centred",
}
# Only in tables of one modality.
OF_TEXT = {name for name in EVIDENCE if name.startswith(("token_", "previous_", "unigram_", "vocab_"))}
OF_TEXT |= {"unigram_text", "unigram", "previous_token", "prediction", "suppression"}
OF_IMAGES = {
    "content_information_null": "content_information when contents are displaced by whole images",
    "content_r2": "share of the variance that what was drawn in the patch explains",
    "object_share": "share of that which belongs to whether there is an object",
    "colour_share": "share of the same that the colour of the object explains",
    "texture_share": "share of the same that its texture explains",
    "shape_share": "share of the same that its shape explains",
}
UNITS = {"token_entropy": "bits", "domain_entropy": "bits"}


def columns_of_neurons() -> tuple[Column, ...]:
    """Metrics, evidence and kinds of every neuron."""
    measured = {metric.name: metric.meaning for metric in METRICS.values()} | EVIDENCE | OF_IMAGES
    both = {metric.name for metric in METRICS.values() if len(metric.modalities) > 1} | set(EVIDENCE) - OF_TEXT

    def of(name: str) -> dict[str, bool]:
        return {"optional": name not in both}

    return (
        LAYER,
        CHANNEL,
        *(number(name, meaning, UNITS.get(name, ""), **of(name)) for name, meaning in measured.items()),
        text("unigram_text", "the text that explains most of the variance", missing=True, optional=True),
        text("factor", "the one planted factor that the neuron codes", missing=True, optional=True),
        number("mean_DOMAIN", "mean of the activation over the units of a domain", pattern="mean_.+"),
        number(
            "firing_DOMAIN", "share of the strongest contexts in a domain over its share of units", pattern="firing_.+"
        ),
        *(
            number(name, f"{meaning} (1: yes, 0: no)", optional=name in OF_TEXT | {"one_factor"})
            for name, meaning in KINDS.items()
        ),
    )


NEURON_TABLE = TableSchema(
    "neurons", "selectivity/SCOPE/MODEL.parquet", "selectivity", "a neuron of a network", columns_of_neurons()
)
TOKENS_OF_NEURONS = TableSchema(
    name="promoted and suppressed tokens",
    file="selectivity/SCOPE/MODEL.tokens.parquet",
    rule="selectivity",
    rows="a neuron and one of the tokens that it promotes or suppresses most",
    columns=(
        NEURON,
        text("side", "promoted or suppressed"),
        whole("rank", "1: the strongest"),
        whole("token", "number of the token"),
        number("cosine", "cosine between what the neuron writes and the unembedding of the token, folded"),
        text("text", "text of the token", missing=True),
    ),
)
CONTEXTS = TableSchema(
    name="contexts",
    file="activations/SCOPE/MODEL/contexts.parquet",
    rule="extract_activations",
    rows="a neuron and one of the units on which it is strongest",
    columns=(
        NEURON,
        whole("half", "half of the documents: 0 or 1"),
        whole("rank", "0: the strongest of the half"),
        UNIT,
        number("activation", "its activation there"),
    ),
)

WHO = (
    CURVE,
    POINT,
    MODEL,
    truth("is_anchor", "is it the anchor of the point?"),
    NEURONS,
    text("set", "rule by which neurons are Rosetta neurons: a criterion, with _fdr05 the calibrated ones"),
)
SIZES_OF_SETS = (
    whole("rosetta", "Rosetta neurons with a value", "neurons"),
    whole("others", "other neurons with a value", "neurons"),
)
PLACEBO = (number("placebo", "mean over placebo sets"), *bounds("the placebo sets", "placebo_low", "placebo_high"))


def of_curve(name: str, rows: str, *columns: Column) -> TableSchema:
    return TableSchema(name, f"polarization/CURVE/{name}.csv", "polarization", rows, columns)


POLARIZATION = of_curve(
    "polarization",
    "a network, set and metric",
    *WHO,
    text("metric", "metric of selectivity"),
    *SIZES_OF_SETS,
    number("median_rosetta", "median of the metric, Rosetta neurons"),
    number("median_others", "median of the metric, other neurons"),
    number("difference", "difference of the medians"),
    *bounds("difference", "difference_low", "difference_high"),
    number("effect", "rank-biserial effect as measured: -1 to 1"),
    *bounds("effect"),
    number("adjusted", "effect against others that are weighted to be alike in layer, mean, variance and activity"),
    *bounds("adjusted", "adjusted_low", "adjusted_high"),
    *PLACEBO,
    number("effective_others", "as many others, equally weighted, would be as precise", "neurons"),
    number("imbalance_before", "largest difference between the sets in what they are made alike in", "deviations"),
    number("imbalance", "the same after weighting", "deviations"),
    truth("balanced", "could the others be made alike?"),
)


def means(name: str, key: Column) -> TableSchema:
    return of_curve(
        name,
        f"a network, set and {key.name}",
        *WHO,
        key,
        *SIZES_OF_SETS,
        number("mean", "mean over the Rosetta neurons"),
        *bounds("mean"),
        number("mean_others", "mean over the other neurons"),
        *PLACEBO,
    )


SPECIALISATION = means("specialisation", text("domain", "domain, or type of document, on which they fire"))
FAMILIES = means("families", text("family", "kind of neuron (see Families on the page)"))
TRENDS = of_curve(
    "trends",
    "a set, metric (or domain, or kind) and quantity",
    CURVE,
    text("table", "polarization, specialisation or families"),
    text("set", "rule by which neurons are Rosetta neurons"),
    text("of", "metric, domain or kind"),
    text("quantity", "column of the table"),
    whole("points", "points with a value", "points"),
    number("slope", "slope of the quantity over the anchors of the curve", "per decade of neurons"),
    *bounds("slope"),
    *bounds("the slopes of placebo sets", "placebo_low", "placebo_high"),
)
OF_CURVE = by_name((POLARIZATION, SPECIALISATION, FAMILIES, TRENDS))


def of_study(schema: TableSchema) -> TableSchema:
    return schema.after(file=f"tables/{schema.name}.csv", rule="tables", rows=f"{schema.rows}, of all curves")


EXAMPLES = TableSchema(
    name="examples",
    file="judge/CURVE/POINT/examples.parquet",
    rule="judge_requests",
    rows="a judged neuron and one of the units that the judge is shown",
    columns=(
        NEURON,
        whole("rank", "0: the strongest"),
        UNIT,
        number("activation", "activation of the neuron there"),
        text("kind", "top (shown for the description), positive or negative (held out)"),
        text("text", "text around the unit, which stands between [[ and ]]"),
        text("group", "rosetta or others"),
    ),
)
JUDGEMENT = TableSchema(
    name="judgement",
    file="judge/CURVE/POINT/judgement.parquet",
    rule="judgement",
    rows="a judged neuron",
    columns=(
        NEURON,
        text("group", "rosetta or others"),
        truth("is_monosemantic", "does one feature explain its contexts, by the judge?", missing=True),
        text("description", "of the feature, by the judge", missing=True),
        number("accuracy", "of the description on held-out contexts"),
        number("precision", "of the same"),
        number("recall", "of the same"),
        number("f1", "of the same"),
        text("description_problem", "why there is no description", missing=True),
        text("detection_problem", "why the description was not tested", missing=True),
    ),
)
MEASURES = (
    text("measure", "is_monosemantic, accuracy, precision, recall or f1"),
    whole("neurons", "neurons with an answer", "neurons"),
    number("answered", "share of the judged neurons with an answer"),
    number("mean", "mean over neurons"),
    *bounds("mean"),
    number("chance", "what chance gives"),
)
JUDGED = TableSchema(
    name="summary of the judge",
    file="judge/CURVE/POINT/judgement.csv",
    rule="judgement",
    rows="a group and measure",
    columns=(*MEASURES, text("group", "rosetta or others")),
)
JUDGE = TableSchema(
    name="judge",
    file="tables/judge.csv",
    rule="tables",
    rows="a point, group and measure",
    columns=(CURVE, POINT, text("group", "rosetta or others"), MEASURES[0], *MEASURES[1:]),
)
OF_STUDY = by_name((*map(of_study, OF_CURVE.values()), JUDGE))
