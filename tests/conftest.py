"""Fixtures of all tests."""

from collections import defaultdict
from pathlib import Path

import as_on_a_card  # noqa: F401  # first: it asks for Triton's interpreter
import pytest
import torch
from hypothesis import settings
from tiny_networks import ARCHITECTURES

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")


def minutes(item: pytest.Item) -> float:
    """How long a test's marker says that its file takes; 0 of quick tests."""
    return max((mark.args[0] for name in ("study", "slow") for mark in item.iter_markers(name)), default=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two workers take a file at a time: those that take longest come first, so that none is left alone at the end."""
    longest: dict[Path, float] = defaultdict(float)
    for item in items:
        longest[item.path] = max(longest[item.path], minutes(item))
    items.sort(key=lambda item: -longest[item.path])


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture(scope="session")
def fitted_folder(tmp_path_factory) -> Path:
    """A folder with the tables of a small study whose fits are made; for reading only."""
    from fitted_studies import fitted, small_counts
    from planted_counts import a_study

    folder = tmp_path_factory.mktemp("fitted")
    fitted(folder, a_study(), small_counts())
    return folder
