"""The MLPs of convolutional networks, at every place of a map: found by structure, as in mlps.py."""

import itertools

import torch

from rosetta_scaling.networks.linear import Mlp, activation_of, only_convolution
from rosetta_scaling.store.errors import StudyError


def find_expansions(model: torch.nn.Module) -> list[Mlp]:
    """The expansions of inverted residuals, in depth order.

    They are modules next to each other: the first makes more channels of every place, the second reads each by itself.
    Raises StudyError when there is none.
    """
    found = []
    for parent in model.modules():
        for before, after in itertools.pairwise(parent.children()):
            up, deep, act = only_convolution(before), only_convolution(after), activation_of([before])
            norms = [module for module in before.modules() if isinstance(module, torch.nn.BatchNorm2d)]
            if not (up and deep and act and len(norms) == 1):
                continue
            of_places = up.kernel_size == (1, 1) and up.groups == 1
            if of_places and deep.groups == deep.in_channels == up.out_channels:
                found.append(Mlp((up,), act, after, norms[0]))
    if not found:
        raise StudyError(
            f"{type(model).__name__}: found neither a linear map nor an expansion with a norm before a convolution of "
            "every channel by itself; this architecture is not supported, choose another network"
        )
    return found
