"""Mean and deviation of the neurons of a source."""

import torch

from rosetta_scaling.activations.sources import Source
from rosetta_scaling.numerics.moments import Moments


def mean_and_deviation(source: Source, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (float32) of some neurons; the deviation of constant ones is 0."""
    moments, out = Moments(stop - start), torch.empty(0)
    for values in source.chunks(start, stop):
        if not moments.count:  # only now it is known where the values are
            moments = Moments(stop - start, values.device)
            out = torch.empty(stop - start, source.chunk, device=values.device)
        moments.add(values, out[:, : values.shape[1]])
    return moments.mean().float().cpu(), moments.deviation().float().cpu()
