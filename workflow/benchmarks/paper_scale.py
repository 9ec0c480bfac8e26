"""What a pair of the paper's largest size costs, the known way and ours, from rates: calculated, not run."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Rates:
    """Work per second of one device."""

    name: str
    forward: float  # floating-point operations of a forward pass
    products: float  # of a matrix product
    pairs: float  # multiply-adds of single pairs of neurons, which memory bandwidth bounds


# An H100: 989e12 dense bfloat16 FLOP/s by its data sheet, of which a product reaches 0.8 and a forward pass 0.4;
# 3.0e12 bytes/s, of which a multiply-add of two float32 takes 8.
H100 = Rates("H100 (stated)", 0.4 * 989e12, 0.8 * 989e12, 3.0e12 / 8)

TOKENS = 10**7
UNITS = 0.88 * TOKENS  # units per token in the published run of the released code: 7,200 of 8,192
SLOTS = 131_072
# (name, parameters and neurons of both, layers of B, layers per block of the known way)
PAIRS = [
    ("Pythia-160M / OPT-125M", 1.6e8, 36_864, 1.25e8, 36_864, 12, 2),
    ("Pythia-1.4B / OPT-1.3B", 1.4e9, 196_608, 1.3e9, 196_608, 24, 2),
    ("Pythia-6.9B / OPT-6.7B", 6.9e9, 524_288, 6.7e9, 524_288, 32, 2),
    ("Pythia-12B / OPT-13B", 1.2e10, 737_280, 1.3e10, 819_200, 40, 1),
    ("OPT-30B / Qwen2.5-32B", 3.0e10, 1_376_256, 3.2e10, 1_769_472, 64, 1),
]


def costs(rates: Rates, candidates: float, uncertified: float) -> pd.DataFrame:
    """Hours of every pair; `candidates` re-scored per neuron, and the share of neurons that need a whole row."""
    rows = []
    for name, parameters_a, a, parameters_b, b, layers_b, block in PAIRS:
        passes = -(-layers_b // block) + 1
        forward = 2 * (parameters_a + parameters_b) * TOKENS / rates.forward
        products = 2 * a * b * UNITS / rates.products
        sketch = 2 * a * b * SLOTS / rates.products
        rescoring = candidates * (a + b) * UNITS / rates.pairs
        # Sketch and re-scoring are a pass each; whole rows, where needed, are a third one.
        ours = forward * (3 if uncertified else 2) + sketch + rescoring + 2 * uncertified * products
        known = passes * forward + products
        rows.append(
            {
                "device": rates.name,
                "pair": name,
                "known_hours": known / 3600,
                "sketch_hours": ours / 3600,
                "ratio": known / ours,
            }
        )
    return pd.DataFrame(rows)
