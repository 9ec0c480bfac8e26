"""Running moments of neurons whose values are rounded for a GPU's products, and how far the rounding can take r.

A GPU multiplies factors of 16 bits more than ten times faster than float32, and sums in float32 all the same. Values
that are stored in 16 bits are multiplied as they are: they are scaled by powers of two, and shifted only where the mean
lies far from zero, so float16, which has more digits than bfloat16, nearly always holds them exactly. Values stored in
float32 are split into two float16 each. What rounding loses is summed up for every neuron.

Everything is done to whole tensors, and nothing is read from the device: the scale of a neuron is set once, from the
first chunk in which it varies. A value that is later too large for float16 is cut, and the loss counts as rounding.
"""

import torch

from rosetta_scaling.numerics import devices
from rosetta_scaling.numerics.moments import Moments

FAR = 2.0  # a mean beyond so many standard deviations is subtracted before values are rounded
LIFT = 4  # the first peak of a neuron is scaled to 2^LIFT: values 4,096 times larger still fit into float16
LARGEST = 65504.0  # of float16
NEVER = -1000  # exponent of a neuron that has not varied yet


class RoundedMoments(Moments):
    """Moments, with `sum` and `squares` of shifted values that are not scaled, and what rounding them has lost."""

    def __init__(self, neurons: int, device: torch.device | str = "cpu"):
        super().__init__(neurons, device)
        self.exponent = self.exponent.int()
        self.lost = torch.zeros(neurons, dtype=torch.float64, device=device)  # sum of squares of what rounding changed

    def add(self, values: torch.Tensor, out: torch.Tensor, rest: torch.Tensor | None = None) -> None:
        """Take in a chunk (neurons, units) and write its rounded values to `out`, float16, of the same shape.

        With `rest`, also of that shape, what rounding has lost is rounded once more; both together stand for a value.
        """
        if devices.runs_kernels(values):
            from rosetta_scaling.numerics import kernels

            kernels.round_rows(self, values, out, rest)
        else:
            self._add_whole(values, out, rest)
        self.count += values.shape[1]

    def _add_whole(self, values: torch.Tensor, out: torch.Tensor, rest: torch.Tensor | None = None) -> None:
        """What the kernel does in one pass over the values."""
        if not self.count:
            self.shift = _first_shift(values.float(), to_bfloat16=values.dtype != torch.float32)
        x = values.float() - self.shift[:, None]
        peak = x.abs().amax(1)
        exponent = (peak.view(torch.int32) >> 23) - 126  # peak < 2^exponent
        self.exponent = torch.where((self.exponent == NEVER) & (peak > 0), exponent, self.exponent)
        self.scale = torch.exp2((LIFT - self.exponent).clamp(max=127).float())
        scaled = x * self.scale[:, None]
        rounded = out.copy_(scaled.clamp(-LARGEST, LARGEST)).double()
        if rest is not None:
            rounded += rest.copy_((scaled - out).clamp(-LARGEST, LARGEST))
        x = x.double()
        self.sum += x.sum(1)
        self.squares += x.square().sum(1)
        self.lost += (x - rounded / self.scale[:, None]).square().sum(1)

    def mean(self) -> torch.Tensor:
        return self.shift.double() + self.sum / self.count

    def deviation(self) -> torch.Tensor:
        return torch.where(self.constant, 0.0, self.norm() / self.count**0.5)

    def loss(self) -> torch.Tensor:
        """Norm of what rounding has changed, as a share of the norm of the deviations from the mean (float64)."""
        return torch.where(self.constant, 0.0, self.lost.sqrt() / self.norm())

    def stretch(self) -> torch.Tensor:
        """Norm of shifted values as a multiple of that of their deviations from the mean, at least 1 (float64)."""
        return torch.where(self.constant, 1.0, self.squares.sqrt() / self.norm())


def _first_shift(x: torch.Tensor, to_bfloat16: bool) -> torch.Tensor:
    """By how much values (neurons, units) are shifted: by their mean where it is far from zero, else not at all.

    A shift of few digits leaves the shifted values few digits, too. Of a neuron that is constant it is its very value.
    """
    low, high = x.aminmax(dim=1)
    mean = x.mean(1)
    deviation = (x - mean[:, None]).square().mean(1).sqrt()
    near = mean.bfloat16().float() if to_bfloat16 else mean
    return torch.where(low == high, low, torch.where(mean.abs() > FAR * deviation, near, 0.0))
