"""Companion studies as small as they can be."""

from rosetta_scaling.config.companions.depth import DepthSettings
from rosetta_scaling.config.companions.filtering import FilteringSettings, Task
from rosetta_scaling.config.companions.mixture import (
    Injection,
    Law,
    MixtureSettings,
    Population,
    Relu,
    Retention,
    Tasks,
)

LOTTERY = {
    "widths": [2, 4, 8],
    "window": (2, 8),
    "small_window": (2, 8),
    "neurons_per_width": 48,
    "least_seeds": 8,
    "steps": [30, 60],
    "points": 16,
    "evaluation_points": 64,
    "ensemble_draws": 20,
    "bootstrap": 100,
    "link_seeds": 4,
    "quadratic": {"dimension": 3, "widths": [4, 8], "seeds": 4, "steps": 20, "batch": 16, "probe": 200},
}

DEPTH = DepthSettings(
    width=4, hidden=8, teacher_depth=16, depths=(2, 4, 8), teachers=2, pool=256, batch=16, steps=(10, 20), inputs=256
)


FILTERING = FilteringSettings(
    tasks={"prose": Task(domain="docs", among=["translations"], keywords=r"\b(the|is)\b")},
    document_bytes=300,
    pool_bytes=20_000,
    target_share=0.2,
    test_bytes=3_000,
    labels=[0, 4],
    training_labels=4,
    seeds=2,
    rung="r1",
)

MIXTURE = MixtureSettings(
    tasks=Tasks(count=3, features=2, ratio=0.5, decays=[1.5, 0.4], inputs=8),
    law=Law(window=(1e2, 1e4), points=4),
    population=Population(widths=[2, 3, 6], seeds=2, steps=3000),
    retention=Retention(widths=[2, 4, 6, 8], seeds=3, common=600, burst=150, again=300, probe=10),
    injection=Injection(widths=[2, 4, 8], seeds=2, batch=8, every=5, gaps=[1, 4], steps=400),
    relu=Relu(widths=[2, 4, 6, 8, 12], sets=2, seeds=2, steps=1500),
    resamples=200,
)
