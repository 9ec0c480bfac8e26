"""Running means and variances of neurons that lose no digits, however far from zero or however small values are."""

import torch

from rosetta_scaling.numerics import devices

HEADROOM = 20  # a value may exceed all before it by 2^20 before the scale of its neuron is changed
CACHED = 256  # neurons worked on at a time


class Moments:
    """Running count, mean and variance of neurons, and the shift and scale under which their products are summed."""

    def __init__(self, neurons: int, device: torch.device | str = "cpu"):
        self.count = 0
        self.shift = torch.zeros(neurons, device=device)
        self.exponent = torch.full((neurons,), -1000, device=device)  # scale is 2^-exponent; -1000: has not varied yet
        self.scale = torch.full((neurons,), 2.0**126, device=device)
        self.sum = torch.zeros(neurons, dtype=torch.float64, device=device)
        self.squares = torch.zeros(neurons, dtype=torch.float64, device=device)

    def add(self, values: torch.Tensor, out: torch.Tensor) -> torch.Tensor | None:
        """Take in a chunk (neurons, units) and write its shifted and scaled values to `out`, float32.

        When the scale of a neuron changes, returns the factor (neurons,) by which sums made before must be multiplied.
        """
        factor = None
        for rows in in_cache(len(values), values.device):
            if not self.count:
                self.shift[rows] = values[rows].double().mean(1).float()  # of a constant neuron: its very value
            x = out[rows].copy_(values[rows])
            x -= self.shift[rows, None]
            peak = torch.maximum(x.amax(1), -x.amin(1))
            grown = self._widen(rows, peak)
            if grown is not None and self.count:
                factor = torch.ones_like(self.shift) if factor is None else factor
                factor[rows] = grown
            x *= self.scale[rows, None]
            self.sum[rows] += x.sum(1)
            self.squares[rows] += torch.linalg.vector_norm(x, dim=1).double() ** 2
        self.count += values.shape[1]
        return factor

    def _widen(self, rows: slice, peak: torch.Tensor) -> torch.Tensor | None:
        """Choose new scales where a peak needs it; the factors (rows,) that this means, or None."""
        exponent = torch.where(peak > 0, torch.frexp(peak).exponent, -1000)
        grows = (exponent > self.exponent[rows] + HEADROOM) & (peak > 0)
        if not grows.any():
            return None
        before = self.scale[rows].clone()
        self.exponent[rows] = torch.where(grows, exponent, self.exponent[rows])
        self.scale[rows] = torch.exp2(-self.exponent[rows].clamp(-126, 126).float())
        factor = torch.where(grows, self.scale[rows] / before, 1.0)
        self.sum[rows] *= factor
        self.squares[rows] *= factor.double() ** 2
        return factor

    @property
    def constant(self) -> torch.Tensor:
        """Neurons that have had one value all along."""
        return self.exponent == -1000

    def mean(self) -> torch.Tensor:
        """Mean (float64) of the activations themselves."""
        return self.shift.double() + self.sum / self.count / self.scale.double()

    def norm(self) -> torch.Tensor:
        """Root of the sum of squared deviations from the mean (float64), of shifted and scaled values."""
        return (self.squares - self.sum**2 / self.count).clamp(min=0).sqrt()

    def deviation(self) -> torch.Tensor:
        """Standard deviation (float64) of the activations themselves."""
        return torch.where(self.constant, 0.0, self.norm() / self.scale.double() / self.count**0.5)


def in_cache(neurons: int, device: torch.device) -> list[slice]:
    """Neurons a few at a time, so that what is done to them is done in the processor's cache; on a GPU all at once."""
    step = max(1, neurons) if devices.is_card(device) else CACHED
    return [slice(start, min(start + step, neurons)) for start in range(0, neurons, step)]
