"""Sources as stages open them."""

from types import SimpleNamespace

import pytest
import torch
from memory_sources import MemorySource

from rosetta_scaling.stages import sources


@pytest.mark.parametrize("variant", ["permute0", "rotate_raw1"])
def test_nulls_of_stored_activations_are_made_on_the_device(monkeypatch, variant):
    stored = torch.randn(4, 10)
    monkeypatch.setattr(sources, "open_source", lambda *_, **__: MemorySource(stored, 4))
    monkeypatch.setattr(sources, "check_pair", lambda *_: None)
    monkeypatch.setattr(sources, "displacement", lambda *_: 0)
    nulls = SimpleNamespace(seed=1)
    pair = SimpleNamespace(models=("a", "b"), study=SimpleNamespace(nulls=nulls), sources_of=lambda _: (None, None))
    device = torch.device("meta")  # holds no values, but is not the processor
    devices = [{chunk.device for chunk in source.chunks()} for source in sources.open_pair(pair, variant, device)]
    assert {torch.device("cpu")} in devices
    assert {device} in devices
