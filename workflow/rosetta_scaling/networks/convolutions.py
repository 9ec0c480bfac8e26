"""The MLPs of convolutional networks, at every place of a map: found by structure, as in mlps.py.

A neuron is a channel of an expansion (EfficientNet, MobileNetV2), of a block's MLP (ConvNeXt), or of what leaves the
filters of a bottleneck (ResNet): after norm and non-linearity, before whatever comes next in the block.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from rosetta_scaling.networks.linear import Mlp, activation_of, features_of, only_convolution, shape_of
from rosetta_scaling.store.errors import StudyError


def mlps_of_maps(model: torch.nn.Module) -> list[Mlp]:
    """The MLPs of a convolutional network, or of a tower of one, in depth order; none for one of another kind.

    Raises StudyError for one that has no linear map and none of these either.
    """
    if any(shape_of(module) for module in model.modules()):
        return _of_places(model) or _gated_filters(model)
    if not (found := _expansions(model) or _bottlenecks(model)):
        raise StudyError(
            f"{type(model).__name__}: found no linear map, no expansion before a convolution of every channel by "
            "itself, and no bottleneck that ends in a convolution of single places; this architecture is not "
            "supported, choose another network"
        )
    return found


class _Pair(NamedTuple):
    """Two modules next to each other: the first is a convolution with a norm and a non-linearity."""

    mlp: Mlp  # whose way back is the second
    up: torch.nn.Conv2d
    then: torch.nn.Conv2d  # the convolution of the second


def _pairs(model: torch.nn.Module) -> Iterator[_Pair]:
    """All such pairs, in depth order."""
    for parent in model.modules():
        for before, after in itertools.pairwise(parent.children()):
            up, then, act = only_convolution(before), only_convolution(after), activation_of([before])
            norms = [module for module in before.modules() if isinstance(module, torch.nn.BatchNorm2d)]
            if up and then and act and len(norms) == 1 and up.out_channels == then.in_channels:
                yield _Pair(Mlp((up,), act, after, norms[0]), up, then)


def _expansions(model: torch.nn.Module) -> list[Mlp]:
    """The expansions of inverted residuals (Sandler et al. 2018).

    The first module makes more channels of every place, the second reads each by itself.
    """
    return [pair.mlp for pair in _pairs(model) if _reads_places(pair.up) and _reads_channels(pair.then)]


def _bottlenecks(model: torch.nn.Module) -> list[Mlp]:
    """The bottlenecks of residual networks (He et al. 2016).

    The second module ends a block: it leads from few channels back to many, at every place by itself, without a
    non-linearity. The first reads several channels at the places around.
    """
    return [
        pair.mlp
        for pair in _pairs(model)
        if _reads_places(pair.then)
        and not _reads_channels(pair.up)
        and not isinstance(pair.mlp.act, torch.nn.Identity)
        and isinstance(activation_of([pair.mlp.down]), torch.nn.Identity | None)
    ]


def _of_places(model: torch.nn.Module) -> list[Mlp]:
    """The MLPs of single places behind a convolution of every channel by itself (ConvNeXt, Liu et al. 2022).

    Convolution, linear maps and non-linearity stand side by side in a block. Between the two maps ConvNeXt V2 has a
    module with weights, its response normalisation, which reads all places of a channel: neurons are what enters it.
    A network that has other linear maps, but for a head behind all, is of another kind: it has attention, for example.
    """
    found, maps = [], []
    for block in model.modules():
        children, act = list(block.children()), activation_of([block])
        filters = [child for child in children if isinstance(child, torch.nn.Conv2d)]
        linears = [child for child in children if shape_of(child)]
        if act is None or len(filters) != 1 or len(linears) != 2 or not _reads_channels(filters[0]):
            continue
        up, back = linears
        hidden, width = features_of(up)
        if hidden == filters[0].out_channels and features_of(back) == (width, hidden):
            between = children[children.index(up) + 1 : children.index(back)]
            norms = [child for child in between if child is not act and next(child.parameters(), None) is not None]
            found.append(Mlp((up,), act, norms[0] if norms else back))
            maps += linears
    every = [module for module in model.modules() if shape_of(module)]
    return found if maps in (every, every[:-1]) else []


def _gated_filters(model: torch.nn.Module) -> list[Mlp]:
    """The gated filters of a transformer (GLUMBConv of Sana, Xie et al. 2024, arXiv 2410.10629).

    A convolution makes twice as many channels of every place as there are neurons, another filters every channel by
    itself, and the second half gates the first. As in a bottleneck, neurons have seen the places around.
    """
    found = []
    for block in model.modules():
        children = list(block.children())
        filters = [child for child in children if isinstance(child, torch.nn.Conv2d)]
        acts = [child for child in children if next(child.parameters(), None) is None]
        if len(filters) != 3 or len(acts) != 1 or len(children) != 4:
            continue
        up, depth, back = filters
        as_wide = up.out_channels == depth.out_channels == 2 * back.in_channels
        if as_wide and _reads_places(up) and _reads_channels(depth) and _reads_places(back):
            found.append(Mlp((depth,), _gated_by_the_second(acts[0]), back, is_joint=True))
    return found


def _gated_by_the_second(act: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """What makes neurons (..., n) of pre-activations (..., 2 n) whose second half is the gate."""

    def neurons(both: torch.Tensor) -> torch.Tensor:
        values, gate = both.chunk(2, -1)
        return values * act(gate)

    return neurons


def _reads_places(convolution: torch.nn.Conv2d) -> bool:
    """Whether it reads every place by itself."""
    return convolution.kernel_size == (1, 1) and convolution.groups == 1


def _reads_channels(convolution: torch.nn.Conv2d) -> bool:
    """Whether it reads every channel by itself."""
    return convolution.groups == convolution.in_channels
