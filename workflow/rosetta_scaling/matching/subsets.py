"""Sources that show a part of another one, some neurons or some units, or all of it on another device."""

from collections.abc import Iterator

import numpy as np
import torch

from rosetta_scaling.activations.ahead import on_device
from rosetta_scaling.activations.sources import Source


class Transformed:
    """A source that is made from another one."""

    def __init__(self, source: Source):
        self.source = source
        self.widths, self.units, self.weights, self.chunk = source.widths, source.units, source.weights, source.chunk

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        raise NotImplementedError


class OnDevice(Transformed):
    """The same on a device, read ahead: what is made of it is then made there."""

    def __init__(self, source: Source, device: torch.device):
        super().__init__(source)
        self.device = device

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        return on_device(self.source.chunks(start, stop), self.device)


class Selected(Transformed):
    """Some neurons only; `index` is sorted."""

    def __init__(self, source: Source, index: np.ndarray):
        super().__init__(source)
        self.index, self.widths = torch.from_numpy(np.asarray(index)), [len(index)]

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        index = self.index[start:stop]
        first, last = int(index[0]), int(index[-1])
        for values in self.source.chunks(first, last + 1):
            yield values[(index - first).to(values.device)]


class OfUnits(Transformed):
    """Some units only; `chosen` (units,) says which."""

    def __init__(self, source: Source, chosen: np.ndarray):
        super().__init__(source)
        self.chosen, self.units = torch.from_numpy(np.flatnonzero(chosen)), int(chosen.sum())

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        begin = 0
        for values in self.source.chunks(start, stop):
            inside = self.chosen[(self.chosen >= begin) & (self.chosen < begin + values.shape[1])] - begin
            begin += values.shape[1]
            if len(inside):
                yield values[:, inside.to(values.device)]
