"""Tables of fits to counts, of their doubts, and of the theory; the rule `fits` writes them all."""

from rosetta_scaling.schemas.tables.common import (
    ALPHA,
    CRITERION,
    CURVE,
    EXPONENT_RANGE,
    NOTE,
    POINT,
    POINTS,
    QUANTITY,
)
from rosetta_scaling.schemas.tables.schema import Column, TableSchema, bounds, by_name, number, text, truth, whole

NAMES = (CURVE, CRITERION, QUANTITY)
BETA = number("beta", "exponent by which the importance of features falls with rank")


def fitted(name: str, rows: str, *columns: Column) -> TableSchema:
    return TableSchema(name, f"tables/{name}.csv", "fits", rows, columns)


FITS = fitted(
    "fits",
    "a curve, criterion, quantity and notion of size",
    *NAMES,
    text("x", "notion of size: a column of counts.csv"),
    POINTS,
    ALPHA,
    *EXPONENT_RANGE,
    number("c", "factor: count = c x size^alpha", "neurons"),
    number("r2", "share of the variance of ln count that the line explains"),
    number("geometric", "exponent that a constant share of all neurons would have"),
    number("p_sublinear", "one-sided p that the share of the quantity among all neurons does not fall with size"),
    NOTE,
)
ESTIMATORS = fitted(
    "estimators",
    "a curve, criterion, quantity and estimator, against neurons",
    *NAMES,
    text("estimator", "how the exponent was estimated"),
    POINTS,
    ALPHA,
    *EXPONENT_RANGE,
    number("c", "factor of the power law", "neurons"),
    truth("agrees", "does alpha lie inside the interval of ols?", missing=True),
    NOTE,
)
POOLED = fitted(
    "pooled",
    "a criterion and quantity, over all curves or without those of one family",
    CRITERION,
    QUANTITY,
    text("without", "family whose curves are left out; none: no curve is"),
    whole("curves", "curves", "curves"),
    number("alpha", "mean exponent of the curves"),
    *EXPONENT_RANGE,
    number("between_sd", "standard deviation of the exponent between curves"),
    number("p_same", "p of the hypothesis that all curves have one exponent"),
)
RIVALS = fitted(
    "rivals",
    "a curve, criterion, quantity and form",
    text("form", "form of the law"),
    number("c", "factor", "neurons"),
    ALPHA,
    number("change", "second exponent less the first (broken power law)"),
    number("curvature", "coefficient of (ln size)^2 (quadratic)"),
    number("theta", "size at which the form bends or saturates"),
    *bounds("curvature"),
    whole("parameters", "fitted numbers", missing=True),
    number("squares", "residual sum of squares of ln count"),
    number("aicc", "Akaike's criterion with the correction for few points; less is better"),
    number("weight", "Akaike weight among the forms"),
    number("left_out", "error of ln count at points that are left out one by one", "ln units"),
    number("largest", "error of ln count of the largest point, predicted from the others", "ln units"),
    truth("at_bound", "does theta lie at the end of its range?", missing=True),
    NOTE,
    *NAMES,
)
INFLUENCE = fitted(
    "influence",
    "a curve, criterion, quantity and point",
    number("x", "neurons per network", "neurons"),
    number("y", "the quantity", "neurons"),
    number("leverage", "weight of the point in its own fitted value"),
    number("residual", "standardised residual"),
    number("cook", "Cook's distance; above 1 the point decides"),
    number("alpha", "exponent without the point"),
    *EXPONENT_RANGE,
    POINT,
    *NAMES,
)
UNCERTAINTY = fitted(
    "uncertainty",
    "a curve, criterion and quantity",
    *NAMES,
    POINTS,
    number("model_sd", "standard deviation of points around the line: of networks", "ln units"),
    number("documents_sd", "of one point over resampled documents", "ln units"),
    number("nulls_sd", "of the excess over the draws of the largest null", "ln units"),
    number("seeds_sd", "of a point between curves that differ in their seeds only", "ln units"),
)
COVERAGE = fitted(
    "coverage",
    "a curve, criterion and estimator, on simulated curves like the real one",
    text("estimator", "how the exponent was estimated"),
    whole("draws", "simulated curves", "curves"),
    number("without", "share of them without an interval"),
    number("coverage", "share of the intervals that hold the true exponent"),
    *bounds("coverage", "coverage_low", "coverage_high"),
    number("half_width", "median of half the width of the intervals"),
    number("bias", "mean exponent less the true one"),
    *NAMES,
    POINTS,
    number("nominal", "what the intervals promise"),
)
FORECAST = fitted(
    "forecast",
    "a curve, criterion, quantity and named network",
    *NAMES,
    text("name", "network to which the fit is extrapolated"),
    whole("neurons", "its neurons", "neurons"),
    number("forecast", "extrapolated quantity", "neurons"),
    *bounds("one more observation", unit="neurons"),
    number("rivals_low", "lowest value of a rival form", "neurons"),
    number("rivals_high", "highest value of a rival form", "neurons"),
    number("beyond", "distance from the nearest measured size; 0: between them", "decades"),
    number("measured", "range of the measured sizes", "decades"),
    text("reach", "inside, near (beyond the sizes by no more than they span) or far"),
)
THEORY = fitted(
    "theory",
    "a curve, criterion, kind of matches and quantity",
    CURVE,
    CRITERION,
    text("kind", "real, or the null"),
    text("quantity", "alpha, isolation_slope, gap, beta_sizes or beta_ranks (see the page of fits)"),
    number("value", "measured"),
    *bounds("value"),
    number("predicted", "what the theory says"),
    POINTS,
)
THEORY_SIMULATION = fitted(
    "theory_simulation",
    "a pair of simulated networks",
    BETA,
    whole("neurons", "neurons of the networks", "neurons"),
    whole("run", "number of the pair, from 0"),
    whole("represented", "features that a network represents", "features"),
    number("predicted", "matches with r of at least 0.5 in closed form", "neurons"),
    number("predicted_mean_isolation", "their mean isolation in closed form"),
    whole("matches", "mutual best partners", "neurons"),
    whole("right", "those of them that represent one feature", "neurons"),
    whole("matches_half", "matches with r of at least 0.5", "neurons"),
    whole("null", "matches when the second network sees inputs of its own", "neurons"),
    whole("null_half", "those of them with r of at least 0.5", "neurons"),
    number("mean_isolation", "mean isolation of matches_half, read from r"),
    number("rank_slope", "beta read from the correlations of the pair"),
    number("mean_correlation_error", "mean of r less its prediction, over right ones with r of at least 0.5"),
)
THEORY_EXPONENTS = fitted(
    "theory_exponents",
    "an exponent of importance and a quantity of the simulation",
    BETA,
    text("quantity", "column of theory_simulation.csv"),
    ALPHA,
    *EXPONENT_RANGE,
    number("expected", "1 / beta"),
    whole("points", "sizes", "sizes"),
)
POWER = TableSchema(
    name="power",
    file="tables/power.csv",
    rule="claims",
    rows="a main claim and a planted truth, over simulated studies of these sizes",
    columns=(
        text("claim", "the claim"),
        text("truth", "null (no effect), half (half of the paper's) or paper (the paper's effect)"),
        number("effect", "the planted effect"),
        text("effect_name", "what it is"),
        number("supported", "share of simulated studies with this verdict"),
        number("not_supported", "the same"),
        number("inconclusive", "the same"),
        whole("draws", "simulated studies", "studies"),
    ),
)
SETTLED = TableSchema(
    name="settled",
    file="tables/settled.csv",
    rule="settled",
    rows="a claim and a number of draws",
    columns=(
        text("claim", "the claim"),
        whole("draws", "draws of the central null; of other nulls as small a share, but two at least", "draws"),
        text("verdict", "the verdict with so many draws"),
        number("effect", "the estimate that decides"),
        *bounds("effect", "effect_low", "effect_high"),
    ),
)
FEWER_DRAWS = SETTLED.after(file="settled/DRAWS.csv", rule="fewer_draws", rows="a claim")
SIMULATED = THEORY_SIMULATION.after(
    file="CACHE/theory/KEY/beta_BETA.csv", rule="simulate_theory", rows="a pair of simulated networks of one beta"
)
FIT_TABLES = by_name(
    (
        FITS,
        ESTIMATORS,
        POOLED,
        RIVALS,
        INFLUENCE,
        UNCERTAINTY,
        COVERAGE,
        FORECAST,
        THEORY,
        THEORY_SIMULATION,
        THEORY_EXPONENTS,
    )
)
