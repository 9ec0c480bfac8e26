"""Claims about counts: what the paper says, and what this study's numbers say of it (see verdicts.py)."""

import numpy as np
import pandas as pd

from rosetta_scaling.claims.decisions import Regions, about, above, decide
from rosetta_scaling.claims.estimates import count_error, exponentiated, log_ratio
from rosetta_scaling.claims.growth import PAPER, judge_growth
from rosetta_scaling.claims.verdicts import NOT_SUPPORTED, SUPPORTED, Claim, span
from rosetta_scaling.schemas.nulls import nulls_of_trained

ABSENT = 0.1  # a null below a tenth of the count is what "absent" means here


def judge_counts(tables: dict[str, pd.DataFrame], criteria: list[str]) -> list[Claim]:
    """All claims about counts, each for every one of `criteria`. `tables` has counts and models.

    The first criterion is the published one: its claims about growth are main claims, and named without it.
    """
    counts, models = tables["counts"], tables["models"]
    claims = []
    for criterion in criteria:
        rows = counts[counts.criterion == criterion]
        judged = judge_growth(rows, main=criterion == criteria[0])
        judged += [_null(rows, null) for null in ("untrained", "permute")] + [_not_an_artefact(rows)]
        claims += [one if one.main else about(one, criterion) for one in judged]
    if models.validation_loss.notna().any():
        claims.append(_well_trained(models))
    return claims


def _null(counts: pd.DataFrame, null: str) -> Claim:
    found = counts[counts["count"] > 0]  # where nothing was counted, a null of nothing says nothing
    ratio = (found[f"null_{null}"] / found["count"]).dropna()
    # Counts scatter by their root, and a null of zero out of many counts is below a tenth, whatever it scatters by.
    mean = exponentiated(
        log_ratio(found, found[f"null_{null}"], found["count"], np.sqrt(found[f"null_{null}"].clip(lower=1)))
    )
    what = {"untrained": "networks that were never trained", "permute": "networks whose units are shuffled"}[null]
    return Claim(
        words=f"Matches are absent between {what}",
        source=f"{PAPER}, section 4.2" if null == "untrained" else f"{PAPER}, C.3",
        statistic=f"null / count: {span(ratio)} over {len(ratio)} points",
        sentence=f"Absent means that the {null} null is surely under {ABSENT:.0%} of the count, as a geometric mean "
        "over all points.",
        **decide(mean, Regions((-np.inf, ABSENT), (-np.inf, ABSENT)), "null over count"),
    )


def _not_an_artefact(counts: pd.DataFrame) -> Claim:
    """Trained networks whose neurons, or whose text, no longer correspond must not give as many matches."""
    nulls = [null for null in nulls_of_trained() if null.column in counts]
    largest = counts[[null.column for null in nulls]].max(axis=1)
    found = exponentiated(log_ratio(counts, counts["count"], largest, count_error(counts)))
    ratio = (largest / counts["count"].where(counts["count"] > 0)).dropna()
    words = ", ".join(dict.fromkeys(null.adjective for null in nulls))
    return Claim(
        words="The count is not an artefact of the matching",
        source=f"{PAPER}, section 4.2",
        statistic=f"largest null of trained networks / count: {span(ratio)}" if len(ratio) else "",
        sentence="Supported when the count surely exceeds the largest null of the trained networks "
        f"({words}), as a geometric mean over all points.",
        caveat="This is about the criterion, not about the neurons: noise gives more mutual pairs than structured "
        "correlations do, so a null as large as the count does not say that nothing is shared.",
        **decide(found, above(0.0, 1.0), "count over its largest null"),
    )


def _well_trained(models: pd.DataFrame) -> Claim:
    falls: dict[str, bool] = {}
    models = models[models.source != "continued"]  # what is trained on one domain forgets others
    models = models.assign(loss=models.validation_bits_per_byte.fillna(models.validation_loss))  # images have no bytes
    for family, part in models.dropna(subset=["loss"]).groupby("family", sort=False):
        falls[family] = bool((part.sort_values("neurons").loss.diff().dropna() < 0).all())
    what = (
        "have a lower loss on held-out images" if set(models.modality) == {"image"} else "predict held-out text better"
    )
    cells = [f"{family}: {'falls' if ok else 'does not fall'} at every step" for family, ok in falls.items()]
    return Claim(
        words=f"Larger networks of a family {what}",
        source="precondition of this study",
        verdict=SUPPORTED if all(falls.values()) else NOT_SUPPORTED,
        statistic=", ".join(cells),
        sentence=f"Validation loss falls with every step in size in {sum(falls.values())} of {len(falls)} families; if "
        "it did not, the ladder would be badly trained and nothing above could be read as an effect of size.",
    )
