"""The float64 oracle of all matching, and how neighbours are held against it."""

import numpy as np
import torch

from rosetta_scaling.matching.neighbours import Neighbours


def oracle(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    """All Pearson correlations (a, b) in float64 of activations (neurons, units); NaN for constant neurons."""
    a, b = a.double().numpy(), b.double().numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(a, b)[: len(a), len(a) :]


def assert_best(best, r: np.ndarray, atol: float) -> None:
    """Neighbours are the best of every row of the oracle r; partners closer than `atol` may change places."""
    partners = min(best.r.shape[1], int(np.isfinite(r).sum(1).max()))
    expected = -np.sort(-np.nan_to_num(r, nan=-np.inf), 1)[:, :partners]
    varied = ~best.constant.numpy()
    np.testing.assert_array_equal(varied, np.isfinite(r).any(1))
    np.testing.assert_allclose(best.r[:, :partners].numpy()[varied], expected[varied], atol=atol, rtol=0)
    found = np.take_along_axis(r, best.partner[:, :partners].numpy(), 1)
    np.testing.assert_allclose(found[varied], expected[varied], atol=atol, rtol=0)


def balanced(seed: int, neurons: int, units: int) -> torch.Tensor:
    """Plus and minus one, as many of each in every 16 units: sums are exact in any order, and ties abound."""
    random = torch.rand(neurons, units // 16, 16, generator=torch.Generator().manual_seed(seed))
    return (random.argsort(2) < 8).flatten(1) * 2.0 - 1


def assert_same(found: tuple[Neighbours, Neighbours], expected: tuple[Neighbours, Neighbours]) -> None:
    for one, other in zip(found, expected, strict=True):
        for name, value in vars(one).items():
            torch.testing.assert_close(value, getattr(other, name), atol=0, rtol=0)
