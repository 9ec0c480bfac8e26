"""What a forward pass asks of the inputs of a network, whether they are passages of text or images."""

from typing import Protocol

import numpy as np
import torch

from rosetta_scaling.activations.pooling import Bags


class Batch(Protocol):
    """Some samples as they go into a network, and their units."""

    @property
    def arguments(self) -> dict[str, torch.Tensor]:
        """What the network is called with."""

    @property
    def units(self) -> np.ndarray:
        """Numbers (n,) of the units that begin in these samples, in the order of `bags`."""

    def inside(self, values: torch.Tensor) -> torch.Tensor:
        """The rows (positions, neurons), float32, of a layer's values that lie inside the units of these samples; of a
        large map some, evenly spread."""

    @property
    def bags(self) -> Bags:
        """Which rows belong to every unit."""

    def rows(self, values: torch.Tensor) -> torch.Tensor:
        """A layer's values as rows (positions, neurons), as the network hands them over."""


class Inputs(Protocol):
    """All samples that a network reads, in the order of their units; a sample may have none."""

    @property
    def units(self) -> int:
        """Number of units of all samples."""

    @property
    def ends(self) -> np.ndarray:
        """Where the units of every sample end (samples,): those of sample s are ends[s - 1]..ends[s]."""

    @property
    def lengths(self) -> np.ndarray:
        """Size of every sample (samples,): those of similar size are read together."""

    def batch(self, samples: np.ndarray) -> Batch:
        """The samples of these numbers as one batch."""
