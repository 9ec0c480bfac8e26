"""Networks that read procedural images, whose shared neurons are known: what the study finds is there, and is all of it
that can be found; between networks that share nothing it finds nothing."""

import numpy as np
import pandas as pd
import pytest
from planted_images import planted_images
from planted_truth import decoy_draws, partners

from rosetta_scaling.nulls.calibration import candidates, compete
from rosetta_scaling.selectivity.planted import factor_of, factor_shares
from rosetta_scaling.units.labels import label_units

pytestmark = pytest.mark.slow(0.2)

DRAWS = 8


def discoveries(seed: int, **settings) -> dict[str, float]:
    """Matches at a false-discovery rate of 5%, true and false, and planted ones that are mutual best at all."""
    pair, _, _ = planted_images(seed, **settings)
    a, network = pair.networks[0].activations(), pair.networks[1]
    matches, true = partners(a, network.activations()), pair.true()
    decoys = {draw: network.activations(draw) for draw in range(DRAWS)}
    kept = compete(candidates(matches, decoy_draws(a, decoys), len(a), "a")).q() <= 0.05
    mutual = matches[(matches.rank_a == 1) & (matches.rank_b == 1)]
    hit = np.isin(np.arange(len(a)), mutual.neuron_a[mutual.neuron_b == mutual.neuron_a.map(true)])
    return {
        "true": (kept & hit).sum(),
        "false": (kept & ~hit).sum(),
        "best": hit.sum(),
        "mutual": len(mutual),
        "high_r": (mutual.r > 0.3).sum(),
    }


def test_planted_features_are_found_and_little_else():
    table = pd.DataFrame([discoveries(seed) for seed in range(4)]).sum()
    print(f"\n{table.to_string()}")
    assert table.best > 20
    assert table.true >= 0.5 * table.best
    assert table.false <= 0.15 * (table.true + table.false)


def test_nothing_is_found_where_nothing_is_shared():
    """Though filters of the same images resemble each other: many are mutual best partners, some with r above 0.3."""
    table = pd.DataFrame([discoveries(seed, share=0.0) for seed in range(4)]).sum()
    print(f"\n{table.to_string()}")
    assert table.mutual > 20
    assert table.high_r > 4
    assert table.false <= 4


def test_neurons_that_code_one_planted_factor_are_named_by_it():
    named = []
    for seed in range(4):
        pair, units, coded = planted_images(seed)
        labels, own = label_units(units, 256), pair.networks[0].activations()[pair.place[0]]
        sums = np.stack([own[:, labels.text == code].sum(1) for code in range(len(labels.texts) + 1)])
        count = np.bincount(labels.text, minlength=len(labels.texts) + 1)
        between = (sums[:-1] ** 2 / count[:-1, None]).sum(0) / len(units) - own.mean(1) ** 2
        found = factor_of(factor_shares(sums, count, labels.texts), between / own.var(1))
        named += [(name, list(values) or ["object"]) for name, values in zip(found, coded, strict=True) if name == name]
    print(named)
    assert len(named) >= 6
    assert np.mean([[name] == factors for name, factors in named]) > 0.8
