"""Which originals of a domain are measured on (its probe) and which are trained on."""

import logging
from collections import Counter

from rosetta_scaling.store.errors import StudyError

log = logging.getLogger(__name__)


def sizes_of(kept: dict[str, list]) -> dict[str, int]:
    return {origin: sum(size for _, _, size in pieces) for origin, pieces in kept.items()}


def choose_probe(sizes: dict[str, int], target: int, domain: str) -> set[str]:
    """Origins of a domain's probe: `target` bytes, exceeded by less than the last origin taken.

    sizes: bytes by origin, a sha256. Origins beyond a quarter of the target come last, so that the probe is not one
    or two texts; within that, the hash decides. Where all would be needed, some are left for training: every other one
    that the probe can spare, or else the smallest, and then the probe is that much shorter. One origin alone is probe.
    """
    if sum(sizes.values()) < target or not sizes:
        raise StudyError(
            f"corpus: domain {domain!r} has {len(sizes)} usable documents with {sum(sizes.values())} bytes, its probe "
            f"alone needs {target}; add text, leave the domain out (corpus.domains) or lower probe_bytes_per_domain."
        )
    if not is_needed_whole(sizes, target):
        return _fill(sizes, target)
    *others, _ = sorted(sizes, key=lambda o: (sizes[o], o))
    spare, given = sum(sizes.values()) - target, set()
    for origin in others[::2]:
        if sizes[origin] <= spare:
            given.add(origin)
            spare -= sizes[origin]
    if others and not given:
        given = {others[0]}
        log.warning(
            "domain %r: its probe is %d bytes short of %d, so that a document is left for training",
            domain,
            sizes[others[0]] - spare,
            target,
        )
    return set(sizes) - given


def _fill(sizes: dict[str, int], target: int) -> set[str]:
    chosen: set[str] = set()
    total = 0
    for origin in sorted(sizes, key=lambda o: (sizes[o] > target / 4, o)):
        if total + sizes[origin] <= target:
            chosen.add(origin)
            total += sizes[origin]
    if total < target and (left := set(sizes) - chosen):
        chosen.add(min(left, key=lambda o: (sizes[o], o)))
    return chosen


def is_needed_whole(sizes: dict[str, int], target: int) -> bool:
    """Whether a probe of `target` bytes would take all origins of a domain, so that none is left for training."""
    return sum(sizes.values()) >= target and _fill(sizes, target) == set(sizes)


def shorten(kept: dict[str, list], probe: set[str], target: int, count: Counter) -> None:
    """Leave out the pieces of the probe's largest original that `target` does not need: it may be a hundred times that.

    They are not trained on either: pieces of one original are in one split.
    """
    sizes = {origin: size for origin, size in sizes_of(kept).items() if origin in probe}
    pieces = kept[max(sizes, key=lambda o: (sizes[o], o))]
    spare = sum(sizes.values()) - target
    while len(pieces) > 1 and pieces[-1][2] <= spare:
        spare -= pieces.pop()[2]
        count["left_out_by_cap"] += 1
