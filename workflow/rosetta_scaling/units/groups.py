"""Groups of documents: what is resampled, split in halves and displaced as a whole."""

import numpy as np

from rosetta_scaling.store.errors import StudyError

GROUPS = 64  # of documents, at most, that are resampled; even and odd ones are the halves


def document_groups(doc: np.ndarray, seed: int) -> np.ndarray:
    """Group of every unit (0, 1, ...) from its document: one document each, or as many as make GROUPS groups."""
    _, document = np.unique(doc, return_inverse=True)
    count = document.max() + 1
    return (np.random.default_rng([seed, 3]).permutation(count) % min(count, GROUPS))[document]


def displacements(doc: np.ndarray, draws: int, seed) -> np.ndarray:
    """Different displacements in units, each ending at a document boundary, by a quarter to three quarters of all.

    `doc` is the document of every unit. Documents of all domains are interleaved, so domains do not stay aligned.
    """
    starts = np.flatnonzero(np.append(False, doc[1:] != doc[:-1]))
    starts = starts[(starts >= len(doc) // 4) & (starts <= 3 * len(doc) // 4)]
    if len(starts) < draws:
        raise StudyError(
            f"the probe text has {len(starts)} document boundaries in its middle half, too few for "
            f"nulls.shift_draws = {draws}; raise corpus.probe_bytes_per_domain or lower the draws"
        )
    return np.random.default_rng(seed).choice(starts, draws, replace=False)


BLOCKS = 64  # of documents of one domain, over all domains; sums over them tell domains, halves, domains dealt anew


def document_blocks(doc: np.ndarray, domain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Block of every unit, and domain of every block: whole documents of one domain, dealt so that blocks are even.

    Every domain gets the same number of blocks, or one per document where it has fewer.
    """
    documents, index, size = np.unique(doc, return_inverse=True, return_counts=True)
    domain_of = np.zeros(len(documents), int)
    domain_of[index] = domain
    most = max(2, BLOCKS // (domain_of.max() + 1))
    block_of = np.zeros(len(documents), int)
    block_domain: list[int] = []
    for code in np.unique(domain_of):
        members = np.flatnonzero(domain_of == code)
        filled = np.zeros(min(most, len(members)))
        for document in members[np.argsort(-size[members], kind="stable")]:
            block = filled.argmin()
            filled[block] += size[document]
            block_of[document] = len(block_domain) + block
        block_domain += [code] * len(filled)
    return block_of[index], np.array(block_domain)
