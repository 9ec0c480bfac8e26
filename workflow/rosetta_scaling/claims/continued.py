"""The claim about networks that are trained further: which of their neurons stay what they are?"""

import pandas as pd

from rosetta_scaling.claims.decisions import above, decide
from rosetta_scaling.claims.estimates import mean_over, one_per_network
from rosetta_scaling.claims.verdicts import Claim, interval_words, span
from rosetta_scaling.schemas.metrics import LEAST

AS_OFTEN = 0.02  # a difference of shares below it is called none


def judge_continued(continued: pd.DataFrame, chosen: str) -> list[Claim]:
    """The claim, from the table CONTINUED; `chosen` is the primary set of Rosetta neurons."""
    stays = continued[(continued.fate == "stays") & (continued["set"] == chosen)]
    told = stays[["rosetta", "others"]].min(axis=1) >= LEAST
    alike = stays[stays.balanced.astype(bool)].assign(neurons=0)
    table = one_per_network(alike, "difference", "difference_low", "difference_high")
    anchors = alike.drop_duplicates("model").set_index("model").anchor
    found = mean_over(table.value, table.error, [[model, anchors[model]] for model in table.model])
    words = interval_words(found.value, found.low, found.high) if found else "too few networks for an estimate"
    return [
        Claim(
            words="Rosetta neurons stay more often than others when training goes on",
            source="this study",
            statistic=f"share of neurons that match themselves, Rosetta less others that are alike: {words}; Rosetta "
            f"{span(stays.share.dropna())}, all others {span(stays.share_others.dropna())}; in the strongest null at "
            f"most {stays.null.max():.3f}",
            sentence="Beside others with the same layers, means, variances and shares of units, the mean difference "
            f"over {len(table)} networks that were trained further has to lie surely above zero, or surely below "
            f"{AS_OFTEN:g}, which is called none. The others could not be made alike at "
            f"{(told & ~stays.balanced.astype(bool)).sum()} of {len(stays)} points; {(~told).sum()} have too few "
            "Rosetta neurons.",
            **decide(found, above(AS_OFTEN), "difference of shares that stay"),
        )
    ]
