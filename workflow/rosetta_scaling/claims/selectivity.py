"""Claims about what Rosetta neurons are: more selective, ever more so with size, specialised, at the same depth.

Each is one estimate over all networks, by rules fixed beforehand (see decisions.py). A difference counts beside others
that are alike in layer, mean, variance and share of units; what placebo sets show is where nothing is, so it is taken
off. A network that anchors several curves is one network.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from rosetta_scaling.claims.decisions import LEVEL, Regions, above, decide
from rosetta_scaling.claims.estimates import Z, mean_over, one_per_network, slope_over
from rosetta_scaling.claims.growth import PAPER
from rosetta_scaling.claims.verdicts import (
    INCONCLUSIVE,
    METRIC,
    NOT_SUPPORTED,
    SUPPORTED,
    Claim,
    interval_words,
    span,
)
from rosetta_scaling.power_laws.crossed import Estimated
from rosetta_scaling.schemas.metrics import LEAST, METRICS

SPECIALISES_IN = ("code", "math")  # what Rosetta neurons of larger networks fire on more (the paper's section 5.2)
PAPER_METRIC = "vocab_kurtosis"  # the paper's measure of selectivity
NEGLIGIBLE = 0.1  # a rank-biserial effect below it is called none (small ones begin at 0.15: Romano et al. 2006) ...
FLAT = 0.05  # ... growth of an effect by less than this per decade of neurons ...
AS_OFTEN = 0.1  # ... of normalised firing per decade of neurons ...
SAME_SHARE = 0.02  # ... and a share of matches beyond chance that is smaller than this


def judge_selectivity(tables: dict[str, pd.DataFrame], sets: list[str]) -> list[Claim]:
    """All claims; those about a metric have `metric` and `column`, their place in a table of verdicts.

    `tables` has polarization, specialisation and diagonal; `sets` are the sets of Rosetta neurons, the primary one
    first. Metrics that the confounds determine are not judged (see `undecidable`).
    """
    polarization, specialisation = (anchors(tables[name]) for name in ("polarization", "specialisation"))
    claims = []
    for metric in polarization.metric.unique():
        if METRICS[metric].is_determined:
            continue
        rows = polarization[polarization.metric == metric]
        first, is_papers = rows[rows["set"] == sets[0]], metric == PAPER_METRIC
        judged = [replace(more_selective(first, metric), main=is_papers)]
        judged += [
            replace(polarizes(rows[rows["set"] == name], metric, name), main=is_papers and name == sets[0])
            for name in sets
        ]
        judged.append(_only_rosetta(first, metric))
        claims += [replace(one, topic=METRIC, metric=metric) for one in judged]
    for domain in SPECIALISES_IN:
        rows = specialisation[(specialisation["set"] == sets[0]) & (specialisation.domain == domain)]
        if len(rows):
            claims.append(replace(specialises(rows, domain), main=domain == SPECIALISES_IN[0]))
    return [*claims, replace(same_depth(tables["diagonal"]), main=True)]


def undecidable() -> list[dict]:
    """The metrics about which this design can decide nothing, and why: for claims.json, beside the claims."""
    return [
        {
            "metric": metric.name,
            "r2": metric.determined_r2,
            "because": f"layer, mean, variance and share of active units explain {metric.determined_r2:.0%} of its "
            "normal score, so beside others that are alike in these, nothing of a difference can be left",
        }
        for metric in METRICS.values()
        if metric.is_determined
    ]


def anchors(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.is_anchor.astype(bool)]


def words_of(found: Estimated | None) -> str:
    return interval_words(found.value, found.low, found.high) if found else "too few networks for an estimate"


def effects(rows: pd.DataFrame) -> pd.DataFrame:
    """Adjusted effects of networks whose others could be made alike."""
    return one_per_network(rows[rows.balanced.astype(bool)], "adjusted", "adjusted_low", "adjusted_high")


def more_selective(rows: pd.DataFrame, metric: str) -> Claim:
    told, alike = rows.effect.notna(), rows.balanced.astype(bool)
    table = effects(rows)
    found = mean_over(table.value, table.error, [[one] for one in table.model])
    raw = one_per_network(rows, rows.effect - rows.placebo, "low", "high")
    measured = mean_over(raw.value, raw.error, [[one] for one in raw.model])
    return Claim(
        words=f"Rosetta neurons are more selective than others that are alike otherwise ({metric})",
        source=f"{PAPER}, section 5.1",
        statistic=f"rank-biserial effect, adjusted: {words_of(found)}; as measured, less placebo: {words_of(measured)}",
        sentence="Beside others with the same layers, means, variances and shares of units, the mean effect over "
        f"{len(table)} networks has to lie surely above zero, or surely below {NEGLIGIBLE:g}, which is called none. "
        f"The others could not be made alike at {(told & ~alike).sum()} of {len(rows)} points; {(~told).sum()} have "
        f"too few Rosetta neurons. Effects of points: {span(rows.adjusted.dropna())}.",
        column="more selective",
        **decide(found, above(NEGLIGIBLE), "rank-biserial effect, adjusted"),
    )


def polarizes(rows: pd.DataFrame, metric: str, name: str) -> Claim:
    found = slope_over(effects(rows))
    raw = slope_over(one_per_network(rows, rows.effect - rows.placebo, "low", "high"))
    return Claim(
        words=f"The difference in selectivity grows with size ({metric}; {name})",
        source=f"{PAPER}, section 5.1 (neuron polarization)",
        statistic=f"adjusted effect per decade of neurons {words_of(found)}",
        sentence="The slope over all networks has to lie surely above zero, or surely below "
        f"{FLAT:g} per decade, which is called none. As measured, less placebo: {words_of(raw)}.",
        column=f"polarizes ({name})",
        criterion=name,
        **decide(found, above(FLAT), "rank-biserial effect per decade of neurons"),
    )


def _only_rosetta(rows: pd.DataFrame, metric: str) -> Claim:
    """That the others' slope is not significant does not say that it is none: the difference has to rise, too."""
    sure = {"difference": ("difference_low", "difference_high")}
    names = ("median_rosetta", "median_others", "difference")
    of = {}
    for name in names:
        flat = rows.assign(zero=0.0)
        of[name] = slope_over(one_per_network(flat, name, *sure.get(name, ("zero", "zero"))))
    rosetta, others, difference = of.values()
    fields = decide(difference, above(0.0), "difference of medians per decade of neurons")
    if rosetta and others and difference:
        rises = max(float(fields["p"]), 2 * rosetta.p_above(0))
        contradicted = min(2 * rosetta.p_below(0), 2 * others.p_above(0), 2 * difference.p_below(0))
        p = min(rises, contradicted, 1.0)
        verdict = INCONCLUSIVE if p > LEVEL else NOT_SUPPORTED if contradicted <= rises else SUPPORTED
        fields |= {"p": p, "verdict": verdict}
        fields |= {} if verdict == INCONCLUSIVE else {"reason": "", "needs": ""}
        fields |= {"reason": "power"} if verdict == INCONCLUSIVE else {}
    return Claim(
        words=f"Rosetta neurons become more selective with size, the others do not ({metric})",
        source=f"{PAPER}, section 5.1",
        statistic=f"median per decade, Rosetta {words_of(rosetta)}; others {words_of(others)}",
        sentence="Supported when the median of the Rosetta neurons surely rises and the difference surely grows; not "
        "supported when either surely falls, or the median of the others surely rises.",
        column="only they become so",
        **fields,
    )


def specialises(rows: pd.DataFrame, domain: str) -> Claim:
    found = slope_over(one_per_network(rows, rows["mean"] - rows.placebo, "low", "high"))
    return Claim(
        words=f"With size, Rosetta neurons fire more on {domain}",
        source=f"{PAPER}, section 5.2",
        statistic=f"normalised firing beyond placebo per decade of neurons {words_of(found)}",
        sentence="The slope over all networks of what Rosetta neurons fire more than placebo sets has to lie surely "
        f"above zero, or surely below {AS_OFTEN:g} per decade, which is called none.",
        **decide(found, above(AS_OFTEN), "normalised firing per decade of neurons"),
    )


def same_depth(diagonal: pd.DataFrame) -> Claim:
    rows = diagonal[(diagonal.matches >= LEAST) & (diagonal.expected < 1)]  # of networks with more than one layer
    null = rows[["expected", "rotated"]].max(axis=1)
    pairs = [" ".join(sorted(pair)) for pair in zip(rows.model_a, rows.model_b, strict=True)]
    table = pd.DataFrame({"pair": pairs, "value": rows.share - null, "error": (rows.high - rows.low) / (2 * Z)})
    table = table.dropna().groupby("pair", sort=False, as_index=False).mean()
    found = mean_over(table.value, table.error, [pair.split() for pair in table.pair])
    return Claim(
        words="Matches join layers of the same relative depth, more than rotated neurons do",
        source="this study's reading of section E.3",
        statistic=f"share on the diagonal: {span(rows.share)}; chance or rotated: {span(null)}",
        sentence=f"The mean over {len(table)} pairs of networks of the share beyond what chance or rotated neurons "
        f"have has to lie surely above zero, or surely below {SAME_SHARE:g}, which is called none.",
        null=0.0,
        null_name="the larger of chance and rotated neurons",
        **decide(found, Regions((0.0, np.inf), (SAME_SHARE, np.inf)), "share of matches beyond the null"),
    )
