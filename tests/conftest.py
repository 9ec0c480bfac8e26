"""Fixtures of all tests."""

import pytest
import torch
from tiny_networks import ARCHITECTURES

# Two workers take a file at a time, in this order: those that run whole studies first, since they take longest.
LONGEST = (
    "test_workflow",
    "test_faults",
    "test_slurm",
    "test_engines",
    "test_companions",
    "test_shipped_studies",
    "test_hooks",
    "test_depth",
)


def pytest_collection_modifyitems(items):
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param
