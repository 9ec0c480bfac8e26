"""Matching as the paper's released code does it, in clean float32: the yardstick of the benchmark.

A first pass of both networks over the text gives means and deviations. Then, for every block of layers of the second
network, both networks run over the whole text again, completely, and a product per pair of layers is summed. Spans are
taken from our own tables, text is batched as ours, and sums are float32: what is compared is the schedule.
"""

import time

import numpy as np
import torch

from rosetta_scaling.activations.forward import ForwardPass
from rosetta_scaling.activations.pooling import means


def pooled(source: ForwardPass, passages: np.ndarray) -> list[torch.Tensor]:
    """All layers of a complete forward pass, averaged over units: a list of (units, neurons)."""
    batch = source.inputs.batch(passages)
    inputs: dict[int, torch.Tensor] = {}

    def keep(layer):
        return lambda _module, arguments: inputs.update({layer: arguments[0]})

    handles = [m.register_forward_pre_hook(keep(layer)) for layer, m in enumerate(source.modules)]
    with torch.inference_mode():
        source.model(**batch.arguments)
    for handle in handles:
        handle.remove()
    return [means(batch.rows(inputs[layer]), batch.bags) for layer in sorted(inputs)]


def batches(source: ForwardPass, share: float) -> list[np.ndarray]:
    passages = np.arange(round(share * len(source.inputs.lengths)))
    return np.split(passages, range(source.batch_samples, len(passages), source.batch_samples))


def statistics_seconds(a: ForwardPass, b: ForwardPass, share: float) -> float:
    """Time of the pass for means and deviations over a share of the text."""
    began = time.perf_counter()
    sums = [[torch.zeros(2, width) for width in source.widths] for source in (a, b)]
    for passages in batches(a, share):
        for source, totals in zip((a, b), sums, strict=True):
            for total, x in zip(totals, pooled(source, passages), strict=True):
                total[0] += x.sum(0)
                total[1] += x.square().sum(0)
    return time.perf_counter() - began


def block_seconds(a: ForwardPass, b: ForwardPass, layers: range, share: float, k: int = 2) -> float:
    """Time of one block of layers of B over a share of the text. Means are 0 and deviations 1, which costs the same."""
    began = time.perf_counter()
    zero, one = torch.zeros(a.widths[0]), torch.ones(a.widths[0])
    product = {(i, j): torch.zeros(a.widths[i], b.widths[j]) for i in range(len(a.widths)) for j in layers}
    for passages in batches(a, share):
        x = [(values - zero) / one for values in pooled(a, passages)]
        y = pooled(b, passages)
        y = {j: (y[j] - zero) / one for j in layers}
        for (i, j), total in product.items():
            total.addmm_(x[i].T, y[j])
    for total in product.values():
        total.topk(k, dim=1)
        total.topk(k, dim=0)
    return time.perf_counter() - began
