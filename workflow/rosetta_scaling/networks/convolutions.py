"""The MLPs of convolutional networks, at every place of a map: found by structure, as in mlps.py."""

import itertools

import torch

from rosetta_scaling.networks.linear import Mlp, activation_of, features_of, only_convolution, shape_of
from rosetta_scaling.store.errors import StudyError


def mlps_of_maps(model: torch.nn.Module) -> list[Mlp]:
    """The MLPs of a convolutional network, in depth order; none for a network of another kind.

    Raises StudyError for one that has no linear map and none of these either.
    """
    if any(shape_of(module) for module in model.modules()):
        return _of_places(model)
    if not (found := _expansions(model)):
        raise StudyError(
            f"{type(model).__name__}: found neither a linear map nor an expansion with a norm before a convolution of "
            "every channel by itself; this architecture is not supported, choose another network"
        )
    return found


def _expansions(model: torch.nn.Module) -> list[Mlp]:
    """The expansions of inverted residuals (Sandler et al. 2018).

    They are modules next to each other: the first makes more channels of every place, the second reads each by itself.
    """
    found = []
    for parent in model.modules():
        for before, after in itertools.pairwise(parent.children()):
            up, deep, act = only_convolution(before), only_convolution(after), activation_of([before])
            norms = [module for module in before.modules() if isinstance(module, torch.nn.BatchNorm2d)]
            if not (up and deep and act and len(norms) == 1):
                continue
            of_places = up.kernel_size == (1, 1) and up.groups == 1
            if of_places and _reads_channels(deep) and deep.in_channels == up.out_channels:
                found.append(Mlp((up,), act, after, norms[0]))
    return found


def _of_places(model: torch.nn.Module) -> list[Mlp]:
    """The MLPs of single places behind a convolution of every channel by itself (ConvNeXt, Liu et al. 2022).

    Convolution, linear maps and non-linearity stand side by side in a block. Between the two maps ConvNeXt V2 has a
    module with weights, its response normalisation, which reads all places of a channel: neurons are what enters it.
    """
    found = []
    for block in model.modules():
        children, act = list(block.children()), activation_of([block])
        filters = [child for child in children if isinstance(child, torch.nn.Conv2d)]
        maps = [child for child in children if shape_of(child)]
        if act is None or len(filters) != 1 or len(maps) != 2 or not _reads_channels(filters[0]):
            continue
        up, back = maps
        hidden, width = features_of(up)
        if hidden == filters[0].out_channels and features_of(back) == (width, hidden):
            between = children[children.index(up) + 1 : children.index(back)]
            norms = [child for child in between if child is not act and next(child.parameters(), None) is not None]
            found.append(Mlp((up,), act, norms[0] if norms else back))
    return found


def _reads_channels(convolution: torch.nn.Conv2d) -> bool:
    """Whether it reads every channel by itself."""
    return convolution.groups == convolution.in_channels
