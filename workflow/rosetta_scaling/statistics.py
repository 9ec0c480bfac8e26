"""Streaming statistics of every neuron over units: moments, sparsity, domains and strongest contexts.

Each chunk is reduced in float64 and merged centrally (Chan et al. 1983; Pebay 2008), so a mean far from zero does
not eat the variance and the order of chunks does not matter.
"""

import numpy as np
import pandas as pd
import torch

from rosetta_scaling.ranking import strongest

# |activation| is counted in bins of equal ratio, 5 per factor of two from 2^-36 to 2^16. The Gini coefficient is then
# right to 0.005, and a neuron whose activations are all tiny is not taken for silent.
BINS_PER_OCTAVE, LOWEST, HIGHEST = 5, -36, 16
BINS = BINS_PER_OCTAVE * (HIGHEST - LOWEST)


class NeuronStatistics:
    """Running statistics of `neurons` neurons; feed chunks with `update`, read the table with `table`.

    State is a dictionary of tensors, so that it can be saved with a shard and merged with others.
    """

    def __init__(self, neurons: int, domains: int, top: int):
        zeros = lambda *shape: torch.zeros(*shape, dtype=torch.float64)  # noqa: E731
        self.state = {
            "count": zeros(()),
            "mean": zeros(neurons),
            "m2": zeros(neurons),
            "m3": zeros(neurons),
            "m4": zeros(neurons),
            "active": zeros(neurons),
            "absolute": zeros(neurons),
            "maximum": torch.full((neurons,), -torch.inf, dtype=torch.float64),
            "histogram": torch.zeros(neurons, BINS, dtype=torch.int64),
            "domain_count": zeros(domains),
            "domain_sum": zeros(domains, neurons),
            "top_value": torch.full((top, neurons), -torch.inf),
            "top_unit": torch.full((top, neurons), -1, dtype=torch.int64),
        }

    @classmethod
    def from_state(cls, state: dict[str, torch.Tensor]) -> "NeuronStatistics":
        statistics = cls.__new__(cls)
        statistics.state = dict(state)
        return statistics

    def update(self, values: torch.Tensor, units: torch.Tensor, domains: torch.Tensor) -> None:
        """Add a chunk: values (units, neurons) float32, unit indices (units,), domain codes (units,)."""
        chunk = NeuronStatistics(values.shape[1], len(self.state["domain_count"]), len(self.state["top_value"]))
        x = values.double()
        mean = x.mean(0)
        centred = x - mean
        squared = centred**2
        one_hot = torch.nn.functional.one_hot(domains, len(self.state["domain_count"])).double()  # (units, domains)
        magnitude = values.abs()
        chunk.state |= {
            "count": torch.tensor(float(len(x)), dtype=torch.float64),
            "mean": mean,
            "m2": squared.sum(0),
            "m3": (squared * centred).sum(0),
            "m4": (squared**2).sum(0),
            "active": (x > 0).double().sum(0),
            "absolute": magnitude.double().sum(0),
            "maximum": x.amax(0),
            "histogram": _histogram(magnitude),
            "domain_count": one_hot.sum(0),
            "domain_sum": one_hot.T @ x,
        }
        chunk.state["top_value"], chunk.state["top_unit"] = strongest(
            values, units[:, None].expand_as(values), len(self.state["top_value"]), dim=0
        )
        self.merge(chunk)

    def merge(self, other: "NeuronStatistics") -> None:
        """Add the statistics of other units."""
        a, b = self.state, other.state
        na, nb = a["count"], b["count"]
        n = (na + nb).clamp(min=1)
        delta = b["mean"] - a["mean"]
        m4 = a["m4"] + b["m4"] + delta**4 * na * nb * (na**2 - na * nb + nb**2) / n**3
        m4 += 6 * delta**2 * (na**2 * b["m2"] + nb**2 * a["m2"]) / n**2 + 4 * delta * (na * b["m3"] - nb * a["m3"]) / n
        m3 = a["m3"] + b["m3"] + delta**3 * na * nb * (na - nb) / n**2
        m3 += 3 * delta * (na * b["m2"] - nb * a["m2"]) / n
        merged = {
            "m4": m4,
            "m3": m3,
            "m2": a["m2"] + b["m2"] + delta**2 * na * nb / n,
            "mean": a["mean"] + delta * nb / n,
        }
        for name in ("count", "active", "absolute", "histogram", "domain_count", "domain_sum"):
            merged[name] = a[name] + b[name]
        merged["maximum"] = torch.maximum(a["maximum"], b["maximum"])
        both = torch.cat([a["top_value"], b["top_value"]]), torch.cat([a["top_unit"], b["top_unit"]])
        merged["top_value"], merged["top_unit"] = strongest(*both, len(a["top_value"]), dim=0)
        self.state |= merged

    def table(self, layer: int, domains: list[str]) -> pd.DataFrame:
        """One row per neuron. Kurtosis is excess; a constant neuron has NaN where its variance would divide."""
        s = {name: tensor.numpy() for name, tensor in self.state.items()}
        n, variance = s["count"], s["m2"] / s["count"]
        constant = variance <= 1e-12 * (s["mean"] ** 2 + variance)  # float32 noise on a constant is below this
        with np.errstate(divide="ignore", invalid="ignore"):
            skewness = np.where(constant, np.nan, s["m3"] / n / variance**1.5)
            kurtosis = np.where(constant, np.nan, s["m4"] / n / variance**2 - 3)
            rms = np.sqrt(variance + s["mean"] ** 2)
            hoyer = (np.sqrt(n) - s["absolute"] / rms / np.sqrt(n)) / (np.sqrt(n) - 1)
        table = pd.DataFrame(
            {
                "layer": layer,
                "channel": np.arange(len(variance)),
                "mean": s["mean"],
                "variance": variance,
                "skewness": skewness,
                "activation_kurtosis": kurtosis,
                "fraction_active": s["active"] / n,
                "gini": gini(s["histogram"]),
                "hoyer": hoyer,
                "maximum": s["maximum"],
            }
        )
        for code, domain in enumerate(domains):
            table[f"mean_{domain}"] = s["domain_sum"][code] / max(1, s["domain_count"][code])
        return table

    def contexts(self, layer: int) -> pd.DataFrame:
        """The strongest units of every neuron: layer, channel, rank, unit, activation."""
        top, neurons = self.state["top_unit"].shape
        return pd.DataFrame(
            {
                "layer": layer,
                "channel": np.tile(np.arange(neurons), top),
                "rank": np.repeat(np.arange(top), neurons),
                "unit": self.state["top_unit"].flatten().numpy(),
                "activation": self.state["top_value"].flatten().numpy(),
            }
        ).query("unit >= 0")


def _histogram(magnitude: torch.Tensor) -> torch.Tensor:
    """Counts (neurons, BINS) of magnitudes (units, neurons) in bins of equal ratio; what is smaller goes to bin 0."""
    octave = magnitude.clamp(min=2.0**LOWEST).log2_() - LOWEST
    index = (octave * BINS_PER_OCTAVE).long().clamp_(0, BINS - 1)
    neurons = magnitude.shape[1]
    flat = (index + BINS * torch.arange(neurons)).flatten()
    return torch.bincount(flat, minlength=neurons * BINS).view(neurons, BINS)


def gini(histogram: np.ndarray) -> np.ndarray:
    """Gini coefficient of |activation| per neuron from counts (neurons, BINS): 0 even, towards 1 concentrated."""
    middle = 2.0 ** (LOWEST + (np.arange(BINS) + 0.5) / BINS_PER_OCTAVE)
    middle[0] = 0  # bin 0 holds the zeros
    count, mass = histogram.astype(float), histogram * middle
    n, total = count.sum(1), mass.sum(1)
    before = np.cumsum(mass, 1) - mass
    with np.errstate(divide="ignore", invalid="ignore"):
        area = (count * (before + mass / 2)).sum(1) / (n * total)  # under the Lorenz curve
    return np.where(total > 0, 1 - 2 * area, np.nan)
