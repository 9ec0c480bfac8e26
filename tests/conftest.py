"""Small real things for tests: networks with random weights, and text that the tests write themselves."""

import pytest
import torch

from rosetta_scaling.config import Family, Size
from rosetta_scaling.ladder import make_config, new_model

ARCHITECTURES = ("gpt_neox", "bloom", "llama", "gpt2")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


def tiny_model(architecture: str, hidden: int = 12, layers: int = 2, vocabulary: int = 300, seed: int = 0):
    family = Family(architecture=architecture, vocabulary=vocabulary)
    size = Size(hidden_size=hidden, layers=layers, heads=2, learning_rate=1e-2)
    return new_model(make_config(family, size, context=64), seed).eval()
