"""Kinds of neurons by stated rules on the metrics of their table; a neuron may be of several kinds, or of none.

After the families of Gurnee et al. 2024 (arXiv 2401.12181), whose rules also look at weights. What is above zero counts
as activity; in gated MLPs the sign of a neuron is arbitrary, so there `dead` says only that it is never positive.
"""

import pandas as pd

ALWAYS_ON = 0.95  # share of units above zero
UNIGRAM = 0.25  # share of the variance that one text explains
PREVIOUS, POSITION, DOMAIN = 0.1, 0.1, 0.1  # shares of the variance
DOMAIN_P = 0.05
VOCABULARY_KURTOSIS = 7.0  # excess; 10 in the convention of Gurnee et al., who count from 0


def families(table: pd.DataFrame) -> pd.DataFrame:
    """One row per neuron of a selectivity table, one column per family: 1, 0, or NaN where that cannot be told."""
    if "factor" in table:
        return _families_of_images(table)
    kurtosis, skewness = table.vocab_kurtosis_folded, table.vocab_skewness_folded

    def known(truth: pd.Series) -> pd.Series:
        return truth.astype(float).where(kurtosis.notna())

    found = pd.DataFrame(
        {
            "dead": table.maximum <= 0,  # never above zero
            "always_on": table.fraction_active >= ALWAYS_ON,
            "unigram": table.unigram_r2 >= UNIGRAM,
            "previous_token": (table.previous_r2 >= PREVIOUS) & (table.previous_r2 > table.token_r2),
            "position": table.position_r2 >= POSITION,
            "domain": (table.domain_r2 >= DOMAIN) & (table.domain_p <= DOMAIN_P),
            "prediction": known((kurtosis > VOCABULARY_KURTOSIS) & (skewness > 0)),
            "suppression": known((kurtosis > VOCABULARY_KURTOSIS) & (skewness < 0)),
        }
    )
    return found.astype(float)


def _families_of_images(table: pd.DataFrame) -> pd.DataFrame:
    found = pd.DataFrame(
        {
            "dead": table.maximum <= 0,
            "always_on": table.fraction_active >= ALWAYS_ON,
            "position": table.position_r2 >= POSITION,
            "domain": (table.domain_r2 >= DOMAIN) & (table.domain_p <= DOMAIN_P),
            "one_factor": table.factor.notna(),
        }
    )
    planted = table.filter(regex="_share$").notna().any(axis=1)
    return found.astype(float).assign(one_factor=found.one_factor.astype(float).where(planted))


FAMILIES = (
    "dead",
    "always_on",
    "unigram",
    "previous_token",
    "position",
    "domain",
    "prediction",
    "suppression",
    "one_factor",
)
