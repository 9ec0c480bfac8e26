"""Whether networks are independent: have they weights in common, or did they start from the same ones?

Not recognised are a network whose hidden dimensions were permuted or rotated, one that rows or columns were cut from,
and one that was trained until it no longer resembles its start.
"""

import itertools
import math
from collections.abc import Collection

import numpy as np
import pandas as pd

from rosetta_scaling.networks.audit.fingerprints import STRONG
from rosetta_scaling.store.errors import StudyError

SIGMAS = 4  # cosines of unrelated samples are normal, with a deviation of 1/sqrt(entries)
LEAST = 0.1  # smaller cosines are no evidence: embeddings of networks that share nothing reached 0.06 (measured)
ROUNDED = 1e-5  # 1 - cosine of a tensor and its cast to bfloat16 is 1.4e-6 (measured)
REFUSED = {
    "identical": "hold the same weights",
    "shared weights": "share {identical_tensors} tensors byte for byte, {identical_share:.0%} of the smaller network",
    "same start": "started from the same weights, or one was made from the other (cosine of MLP weights {mlp:.2f} at "
    "the same place, at most {anywhere:.2f} at any two places and {reordered:.2f} with neurons reordered)",
}


def audit(
    fingerprints: dict[str, pd.DataFrame],
    pairs: list[tuple[str, str]] | None = None,
    descended: Collection[tuple[str, str]] = (),
) -> pd.DataFrame:
    """One row per pair of networks (all pairs, unless `pairs` says which): what they have in common, and a verdict.

    `fingerprints` are those of fingerprints.fingerprint. Constant tensors (new norms, zero biases) do not count. Pairs
    in `descended` are known to have a start in common, since the study trains one of them further.

    identical_tensors, identical_share  weights that are the same byte for byte, and their share of the parameters of
                                        the smaller network
    mlp_tensors                         MLP matrices of the same shape at the same place
    mlp, mlp_max                        mean and largest cosine of these
    anywhere                            largest cosine of MLP matrices of the same shape at any two places
    embeddings                          cosine of the largest embeddings of the same shape
    chance                              what mlp, anywhere and embeddings must exceed to be evidence
    reordered                           mlp_max again with neurons in any order: median cosine of strong rows and their
                                        best partners
    reordered_chance                    what this must exceed: halfway from what unrelated rows reach to 1
    verdict                             identical: the same weights, perhaps rounded; shared weights: some are the same;
                                        same start: MLP weights correlate; shared embeddings: only these do; descended:
                                        known to have a start in common, and not the same weights; independent

    Cosines are NaN where no two tensors have the same shape; such networks count as independent.
    """
    weights = {name: table[~table.constant] for name, table in fingerprints.items()}
    compared = list(itertools.combinations(weights, 2)) if pairs is None else pairs
    rows = [{"a": a, "b": b} | _compare(weights[a], weights[b]) for a, b in compared]
    for row in rows:
        if (row["a"], row["b"]) in descended and row["verdict"] != "identical":
            row["verdict"] = "descended"
    return pd.DataFrame(rows)


def refusals(audited: pd.DataFrame) -> list[str]:
    """One sentence per pair that a study must not compare as if its networks were independent."""
    return [
        f"{row['a']} and {row['b']} {REFUSED[row['verdict']].format(**row)}: they are not independent; leave one out"
        for row in audited.to_dict("records")
        if row["verdict"] in REFUSED
    ]


def require_independent(audited: pd.DataFrame) -> None:
    """Raise StudyError with all refusals, if there are any."""
    if found := refusals(audited):
        raise StudyError(". ".join(found))


def _compare(a: pd.DataFrame, b: pd.DataFrame) -> dict:
    common = set(a.sha256) & set(b.sha256)
    sizes = [table.drop_duplicates("sha256").set_index("sha256")["shape"].map(math.prod) for table in (a, b)]
    mlp, embeddings = _cosines(a, b, "mlp"), _cosines(a, b, "embedding")
    at_place, largest = mlp[mlp.same_place], embeddings[embeddings["size"] == embeddings["size"].max()]
    found = {
        "identical_tensors": len(common),
        "identical_share": float(sizes[0][list(common)].sum() / min(size.sum() for size in sizes)),
        "mlp_tensors": len(at_place),
        "mlp": at_place.cosine.mean(),
        "mlp_max": at_place.cosine.max(),
        "anywhere": mlp.cosine.max(),
        "embeddings": largest.cosine.max(),
        "chance": _chance(pd.concat([mlp, largest])),
        "reordered": at_place.partners.max(),
        "reordered_chance": at_place.partners_chance.max(),
    }
    return found | {"verdict": _verdict(found, set(a.sha256) == set(b.sha256) or _rounded(a, b))}


def _verdict(found: dict, identical: bool) -> str:
    if identical:
        return "identical"
    if found["identical_tensors"]:
        return "shared weights"
    if found["anywhere"] > found["chance"] or found["reordered"] > found["reordered_chance"]:
        return "same start"
    return "shared embeddings" if found["embeddings"] > found["chance"] else "independent"


def _cosines(a: pd.DataFrame, b: pd.DataFrame, role: str) -> pd.DataFrame:
    """All pairs of tensors of one role and shape; partners and their chance at the same place only."""
    rows = []
    for one, other in itertools.product(a[a.role == role].itertuples(), b[b.role == role].itertuples()):
        if list(one.shape) == list(other.shape):
            same = one.place == other.place
            partners = _partners(one, other) if same and role == "mlp" else (math.nan, math.nan)
            cosine = _cosine(one.sample, other.sample)
            rows.append((same, math.prod(one.shape), len(one.sample), cosine, *partners))
    columns = ["same_place", "size", "entries", "cosine", "partners", "partners_chance"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns, float) | {"same_place": bool})


def _chance(cosines: pd.DataFrame) -> float:
    """The largest of m unrelated cosines is about sqrt(2 ln m) deviations."""
    if cosines.empty:
        return math.nan
    deviations = SIGMAS + math.sqrt(2 * math.log(len(cosines)))
    return max(LEAST, deviations / math.sqrt(cosines.entries.min()))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms else math.nan


def _partners(one, other) -> tuple[float, float]:
    """Median cosine of the strong rows of a tensor and their best partners in another, and the cosine to exceed.

    The nearest of m random directions in n dimensions has a cosine of about sqrt(1 - m^(-2 / (n - 1))).
    """
    rows = min(STRONG, one.shape[0])
    a, b = (_directions(tensor.strong.reshape(rows, -1)) for tensor in (one, other))
    columns = a.shape[1]
    nearest = math.sqrt(1 - rows ** (-2 / (columns - 1))) if columns > 1 else 1.0
    return float(np.median((a @ b.T).max(1))), (1 + nearest) / 2


def _directions(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _rounded(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    """Whether all matrices are the same but for a cast to another precision."""
    matrices = [table[table["shape"].map(len) > 1] for table in (a, b)]
    if set(matrices[0].tensor) != set(matrices[1].tensor):
        return False
    both = matrices[0].merge(matrices[1], on="tensor", suffixes=("", "_other"))
    if (both.dtype == both.dtype_other).all() or (both["shape"].map(list) != both.shape_other.map(list)).any():
        return False
    cosines = [_cosine(*samples) for samples in zip(both["sample"], both.sample_other, strict=True)]
    return min(cosines) > 1 - ROUNDED
