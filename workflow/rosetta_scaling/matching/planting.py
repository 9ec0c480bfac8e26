"""Pairs of neurons that are known to correspond, planted into the activations of two models: what is found of them?

A neuron of one model, the original, is mixed into a neuron of the other, the host, which becomes the copy

    w = r x + sqrt(1 - r^2) y,

with x the standardised original and y the standardised rest of the host beyond x, so that copy and original correlate
by r exactly. The mixture is one of activations, after the nonlinearity, since these are what is matched, and since so
the correlation of a copy with any neuron v follows from those of its parents: one pass over the units serves every r.
Each pair is planted alone; all other neurons stay as they are.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.activations.sources import Source
from rosetta_scaling.matching.neighbours import BestPartners
from rosetta_scaling.matching.products import CrossProducts

GRID = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # correlations of planted pairs
COLUMNS = ["neuron_a", "neuron_b", "r", "rank_a", "rank_b", "margin_a", "margin_b", "changed"]
LEAST_REST = 1e-6  # share of a host's variance beyond its original: below, its rest is rounding


class Sites(NamedTuple):
    """Where pairs are planted: the originals (pairs,) of one model, and the host (pairs,) of each in the other."""

    original: np.ndarray
    host: np.ndarray


def choose_sites(best: BestPartners, originals: np.ndarray, random: np.random.Generator) -> Sites:
    """Random hosts for neurons of A, each once: neurons of B without a mutual partner, and nobody's best among these.

    So no match of the pair as it is, and no best partner of an original, is lost to a copy. Constant originals are left
    out, and the last ones where B has too few hosts.
    """
    originals = originals[~best.a.constant.numpy()[originals]]
    first, back = best.a.partner[:, 0].numpy(), best.b.partner[:, 0].numpy()
    taken = best.b.constant.numpy() | (first[back] == np.arange(len(back)))
    taken[first[originals]] = True
    hosts = random.permutation(np.flatnonzero(~taken))[: len(originals)]
    return Sites(originals[: len(hosts)], hosts)


def planted_pairs(
    a: Source, b: Source, in_b: Sites, in_a: Sites, *, device: torch.device | str = "cpu"
) -> pd.DataFrame:
    """How every planted pair ranks at every r of GRID.

    `in_b` has originals of A with hosts in B, `in_a` originals of B with hosts in A. Columns: neuron_a, neuron_b, r,
    rank_a (place of neuron_b among the partners of neuron_a, from 1), rank_b, margin_a (r less that of the next
    partner), margin_b, and changed, the side of the copy.
    """
    n, m = len(in_b.original), len(in_a.original)
    with_a, with_b = (
        CrossProducts(rows, sum(source.widths), a.chunk, device) for rows, source in ((2 * n + m, a), (2 * m + n, b))
    )
    original_a, host_b, original_b, host_a = (torch.from_numpy(one).to(device) for one in (*in_b, *in_a))
    for x, y in zip(a.chunks(), b.chunks(), strict=True):
        x, y = x.to(device), y.to(device)
        with_a.add(torch.cat([x[original_a], y[host_b], y[original_b]]), x)
        with_b.add(torch.cat([y[original_b], x[host_a], x[original_a]]), y)
    r_a, r_b = (products.correlations().cpu().double() for products in (with_a, with_b))
    originals_a, hosts_b, rivals_a = r_a.split([n, n, m])
    originals_b, hosts_a, rivals_b = r_b.split([m, m, n])
    copies_in_b = ranks(in_b, originals_a, hosts_b, rivals_b, names="ab")
    copies_in_a = ranks(in_a, originals_b, hosts_a, rivals_a, names="ba")
    return pd.concat([copies_in_b, copies_in_a], ignore_index=True)


def ranks(
    sites: Sites, of_original: torch.Tensor, of_host: torch.Tensor, rivals: torch.Tensor, *, names: str
) -> pd.DataFrame:
    """The rows of planted_pairs about copies in one model; `names` of the side of the originals and that of the copies.

    r of originals and of hosts with the model of the originals (pairs, neurons), and of originals with the model of
    the copies, whose neurons are their rivals.
    """
    pair, (original, host) = torch.arange(len(sites.original)), map(torch.from_numpy, sites)
    shared = rivals[pair, host]
    rivals = rivals.index_put((pair, host), torch.tensor(-torch.inf).double())  # the copy is in its place
    tables = []
    for r in GRID:
        rest = (1 - r**2) ** 0.5 / (1 - shared**2).clamp(min=LEAST_REST).sqrt()
        of_copy = (r - rest * shared)[:, None] * of_original + rest[:, None] * of_host
        of_copy = torch.where(of_original > -torch.inf, of_copy, -torch.inf)  # of constant neurons
        of_copy[pair, original] = -torch.inf
        table = pd.DataFrame({f"neuron_{side}": one for side, one in zip(names, sites, strict=True)})
        for side, others in zip(names, (rivals, of_copy), strict=True):
            table[f"rank_{side}"] = 1 + (others > r).sum(1).numpy()
            table[f"margin_{side}"] = r - torch.where(others > r, -torch.inf, others).amax(1).numpy()
        tables.append(table.assign(r=r, changed=names[1]))
    return pd.concat(tables)[COLUMNS]
