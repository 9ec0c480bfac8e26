"""A kind of text hidden among others: what there is to choose from, what is known of the target, what is tested on.

All documents are pieces of the text of the study. Those to choose from, to label and to test on come from what networks
were trained on; what is known of every domain beforehand is the probe text, which is no part of the pool. So networks
have read a part of the pool once; the same part for every arm, and nobody told them what the target is.
"""

import math
import re

import numpy as np
import pandas as pd

from rosetta_scaling.config.companions.filtering import FilteringSettings, Task
from rosetta_scaling.corpora.near_duplicates import NearDuplicates
from rosetta_scaling.corpora.pieces import cut
from rosetta_scaling.numerics.seeds import seed_from
from rosetta_scaling.store.errors import StudyError

POOL, LABEL, TEST, PROBE = "pool", "label", "test", "probe"  # what a document is there for
SPARE_LABELS = 1.5  # labelled documents to draw from, for every one that is given: draws of the most labels differ, too


def is_target(documents: pd.DataFrame, task: Task) -> np.ndarray:
    """Which documents (documents,), with columns domain and source, belong to the target."""
    return ((documents.domain == task.domain) & documents.source.str.contains(task.path, regex=True)).to_numpy()


def build_pool(documents: pd.DataFrame, name: str, settings: FilteringSettings, threshold: float) -> pd.DataFrame:
    """Pieces of the documents of a corpus for one task; `threshold` is that of near-duplicates.

    `documents` has columns doc, domain, split, text and source. Columns of the result: document (0, 1, ...), role,
    target, domain, original (that it is a piece of), text, bytes. Pieces of one original have one role, and a copy of
    an earlier piece is left out, with probe text first. Raises StudyError where the target is not there, and where
    there is less text or there are fewer documents than the settings ask for.
    """
    task = settings.tasks[name]
    documents = documents.assign(target=is_target(documents, task))
    documents = documents[documents.target | documents.domain.isin(task.among)]
    _require(documents, name, task)
    pieces, copies = _pieces(documents, settings.document_bytes), NearDuplicates(threshold)
    kept = [_take(pieces[pieces.split == "probe"], math.inf, copies).assign(role=PROBE)]
    trained = pieces[pieces.split == "train"]
    quotas = _target_quotas(settings)
    dealt = _deal(trained[trained.target], quotas, copies)
    _require_labels(dealt[LABEL], name, settings)
    kept += _all_there(dealt, quotas, f"the target of the task {name}")
    others = {POOL: settings.pool_bytes - quotas[POOL], TEST: settings.test_bytes}
    for domain in task.among:
        rows = trained[~trained.target & (trained.domain == domain)]
        shares = {role: wanted / len(task.among) for role, wanted in others.items()}
        kept += _all_there(_deal(rows, shares, copies), shares, f"{domain} in the task {name}")
    table = pd.concat(kept)
    order = np.random.default_rng(seed_from([settings.seed, name, "order"])).permutation(len(table))
    table = table.iloc[order].assign(document=range(len(table)))
    table = table.rename(columns={"doc": "original"})
    return table[["document", "role", "target", "domain", "original", "text", "bytes"]].reset_index(drop=True)


def _require(documents: pd.DataFrame, name: str, task: Task) -> None:
    """Refuse a task of whose target, or of whose other domains, there is no text."""
    for split in ("train", "probe"):
        rows = documents[documents.split == split]
        where = f"in {task.path!r} of the domain {task.domain!r}" if task.path else f"of the domain {task.domain!r}"
        if not rows.target.any():
            raise StudyError(
                f"filtering: the {split} text of the corpus has no document {where}, the target of the task {name}; "
                "correct companions.filtering.tasks, add the domain to corpus.domains, or raise "
                "corpus.probe_bytes_per_domain"
            )
        if missing := sorted(set(task.among) - set(rows.domain[~rows.target])):
            raise StudyError(
                f"filtering: the {split} text of the corpus has no document of {missing}, among which the target of "
                f"the task {name} is to be hidden; correct companions.filtering.tasks, or corpus.domains"
            )


def _pieces(documents: pd.DataFrame, most_bytes: int) -> pd.DataFrame:
    """Documents cut into pieces: doc, number (in its document), domain, split, target, text, bytes.

    Pieces of less than a quarter of the size, ends of documents, are left out.
    """
    rows = []
    for row in documents.itertuples():
        for number, text in enumerate(cut(row.text, most_bytes)):
            size = len(text.encode())
            if size >= most_bytes / 4 and text.strip():
                rows.append((row.doc, number, row.domain, row.split, row.target, text, size))
    return pd.DataFrame(rows, columns=["doc", "number", "domain", "split", "target", "text", "bytes"])


def _take(pieces: pd.DataFrame, quota: float, copies: NearDuplicates) -> pd.DataFrame:
    """The first pieces of all documents, then the second ones, until `quota` bytes are reached; no copies."""
    taken, size = [], 0
    for row in pieces.sort_values(["number", "doc"]).itertuples():
        if size >= quota:
            break
        if not copies.is_copy(row.text):
            taken.append(row.Index)
            size += row.bytes
    return pieces.loc[taken]


def _target_quotas(settings: FilteringSettings) -> dict[str, float]:
    """Bytes of the target by role."""
    return {
        POOL: settings.pool_bytes * settings.target_share,
        TEST: settings.test_bytes,
        LABEL: SPARE_LABELS * max(settings.labels) * settings.document_bytes,
    }


def _deal(pieces: pd.DataFrame, quotas: dict[str, float], copies: NearDuplicates) -> dict[str, pd.DataFrame]:
    """Pieces of every role, as many as the quotas (in bytes) ask for, or as there are.

    Whole documents are dealt to the role that has the smallest part of its quota.
    """
    dealt: dict[int, str] = {}
    has = dict.fromkeys(quotas, 0.0)
    for doc, size in pieces.groupby("doc", sort=True).bytes.sum().items():
        role = min(has, key=lambda one: has[one] / max(quotas[one], 1))
        dealt[int(str(doc))] = role
        has[role] += size
    role_of = pieces.doc.map(dealt)
    return {role: _take(pieces[role_of == role], quota, copies).assign(role=role) for role, quota in quotas.items()}


def _all_there(dealt: dict[str, pd.DataFrame], quotas: dict[str, float], what: str) -> list[pd.DataFrame]:
    """What was dealt. Raises StudyError where a role has less than its quota; labels are checked apart."""
    for role, rows in dealt.items():
        if role != LABEL and rows.bytes.sum() < quotas[role]:
            raise StudyError(
                f"filtering: {what} has {rows.bytes.sum():,} bytes for the {role}, fewer than {quotas[role]:,.0f}; "
                f"lower companions.filtering.{role}_bytes, or raise corpus.bytes_per_domain"
            )
    return list(dealt.values())


def _require_labels(rows: pd.DataFrame, name: str, settings: FilteringSettings) -> None:
    labelled = len(rows)
    if labelled < max(settings.labels):
        raise StudyError(
            f"filtering: the task {name} has {labelled} documents to label, fewer than the {max(settings.labels)} that "
            "companions.filtering.labels asks for; lower it, or raise corpus.bytes_per_domain"
        )


# -- what is known -----------------------------------------------------------------------------------------------------


def known_rows(pool: pd.DataFrame, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the documents that are known to be of the target, and of those known not to be.

    Known is the probe text, and beside it `labels` documents of the target, drawn by `seed`.
    """
    reserve = pool.document[pool.role == LABEL].to_numpy()
    drawn = np.random.default_rng([seed, 5]).permutation(reserve)[:labels]
    probe = pool[pool.role == PROBE]
    known = np.concatenate([probe.document[probe.target].to_numpy(), drawn])
    return np.sort(known), probe.document[~probe.target].to_numpy()


def count_matches(texts: list[str], pattern: str) -> np.ndarray:
    """Matches of a regular expression per byte of every text (texts,)."""
    found = re.compile(pattern)
    return np.array([len(found.findall(text)) / max(1, len(text.encode())) for text in texts])
