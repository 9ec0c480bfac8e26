"""The answer of a study in a few plain sentences, from its tables."""

import pandas as pd

from rosetta_scaling.claims.verdicts import Claim
from rosetta_scaling.formatting import interval, number
from rosetta_scaling.report.claims import leading, listed, verdict_words
from rosetta_scaling.report.counts import half_words
from rosetta_scaling.report.figures.data import largest_point, primary
from rosetta_scaling.schemas.nulls import NULLS


def answer(tables: dict[str, pd.DataFrame], claims: list[Claim], provenance: dict) -> list[str]:
    """What was compared, what is matched at the largest size beside the strongest null, and what the claims come to."""
    return [
        what_was_compared(tables["models"], provenance),
        *at_the_largest_size(primary(tables["counts"])),
        *power_of_list(tables["lists"], largest_point(primary(tables["counts"]))),
        of_the_claims(claims),
    ]


def what_was_compared(models: pd.DataFrame, provenance: dict) -> str:
    """How many networks of which sizes, whether they were trained, and on what they were compared."""
    models = models[models["source"] != "continued"]
    sizes, never = models["parameters"], (models["source"] == "untrained").sum()
    trained = "trained independently of each other"
    if never:
        trained = f"{len(models) - never} {trained} and {never} never trained"
    return (
        f"{len(models)} networks of {models['family'].nunique()} families, {trained}, with {number(sizes.min())} to "
        f"{number(sizes.max())} parameters, were compared neuron by neuron on "
        f"{number(provenance['units']['count'])} units of the corpus {provenance['corpus']['name']}."
    )


def at_the_largest_size(counts: pd.DataFrame) -> list[str]:
    """The count of the largest point beside its strongest null, and what is left beyond the decoys."""
    top = largest_point(counts)
    models = listed(top["models"].split())
    words = (
        f"At the largest size ({models}), {number(top['count'])} of {number(top['anchor_neurons'])} neurons of "
        f"{top['anchor']} have a match"
    )
    nulls = {null: top[null.column] for null in NULLS.values() if pd.notna(top[null.column])}
    if nulls:
        strongest = max(nulls, key=nulls.__getitem__)
        mean, low, high = (top[column] for column in strongest.columns)
        drawn = number(mean) if low == high else interval(top, *strongest.columns, form=number)
        words += f"; the strongest null ({strongest.label}), where no neuron can be shared, gives {drawn}"
    return [f"{words}.", *beyond_decoys(top)]


def beyond_decoys(top: dict) -> list[str]:
    """What is left when neurons compete with decoys; without such columns, what is left beyond the strongest null."""
    if pd.notna(top.get("beyond_decoys")):
        beyond = interval(top, "beyond_decoys", "beyond_decoys_low", "beyond_decoys_high", form=number)
        return [
            f"When every neuron competes with decoys, the real one wins {number(top['wins'])} times and that of one "
            f"draw {number(top['decoy_wins'])} times: {beyond} neurons are beyond what decoys explain."
        ]
    if pd.isna(top["excess"]):
        return []
    return [f"That is {number(abs(top['excess']))} {'more' if top['excess'] > 0 else 'fewer'} than this null gives."]


def power_of_list(lists: pd.DataFrame, top: dict) -> list[str]:
    """What the list at 5% of a point misses, which pairs that were planted there tell; nothing where none were."""
    rows = lists[(lists["curve"] == top["curve"]) & (lists["point"] == top["point"]) & (lists["q"] == 0.05)]
    if rows.empty:
        return []
    row = rows.iloc[0].to_dict()
    words = f"The list with 5% false discoveries holds {number(row['count'])} neurons"
    if pd.isna(row["half_r"]):
        return [
            f"{words}, and at any r fewer than half of the pairs that were planted there: what it misses is unknown."
        ]
    shared = interval(row, "corrected", "corrected_low", "corrected_high", form=number)
    return [
        f"{words}, and half of the pairs that were planted there at r = {half_words(row)}; corrected for those that it "
        f"misses, {shared} neurons are shared at least so strongly."
    ]


def of_the_claims(claims: list[Claim]) -> str:
    """How many of the main claims are supported; of all of them where none is called that."""
    main = [claim for claim in leading(claims) if claim.main]
    if not main:
        return f"Of {len(claims)} claims, {verdict_words(claims)}."
    return f"Of the {len(main)} main claims, {verdict_words(main)}."
