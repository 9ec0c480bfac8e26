"""Random orthogonal maps of long vectors, without their matrices."""

import torch

ROUNDS = 3  # of random signs and a transform: as random as a matrix for what neurons are used for (see its test)


class FastRotation:
    """A random orthogonal map of vectors of one size, in size x log(size) operations.

    Three times random signs and an orthonormal transform that mixes all coordinates: the product HD HD HD of Yu et al.
    2016 (Orthogonal Random Features), with the Hartley transform as H, which has any size where Hadamard's has powers
    of 2. A layer of 14,336 neurons would need a matrix of 0.8 GB and 14,336 products per coordinate.
    """

    def __init__(self, size: int, random: torch.Generator):
        self.signs = torch.randint(0, 2, (ROUNDS, size), generator=random).float() * 2 - 1

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The map of x (..., size), float32."""
        for signs in self.signs.to(x.device):
            x = hartley(x * signs)
        return x


def hartley(x: torch.Tensor) -> torch.Tensor:
    """The orthonormal Hartley transform of x (..., size), float32; its own inverse (Bracewell 1983)."""
    half = torch.fft.rfft(x, norm="ortho")  # the frequencies beyond the half are the conjugates, backwards
    beyond = half[..., 1 : (x.shape[-1] + 1) // 2].flip(-1)
    return torch.cat([half.real - half.imag, beyond.real + beyond.imag], -1)
