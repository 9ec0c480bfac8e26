"""Linear maps, whatever class holds them, and the MLPs that they make with a non-linearity between them."""

import copy
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

# What transformers' modules call their non-linearity: act, act_fn, activation_fn, intermediate_act_fn, gelu_impl.
ACTIVATION = re.compile(r"(^|_)(act|activation|gelu|relu|silu)(_|$)")


class Mlp(NamedTuple):
    """down(act(up(x))), or down(act(gate(x)) * up(x)) if it is gated, or down(act(norm(up(x)))) with a norm."""

    ups: tuple[torch.nn.Module, ...]  # up; gate and up; or one map twice as wide: the gate's half, then the other
    act: Callable[[torch.Tensor], torch.Tensor]
    down: torch.nn.Module
    norm: Any = None  # a BatchNorm2d
    is_joint: bool = False  # whether `act` makes neurons of all pre-activations side by side, gate and product included

    def pre_activations(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What the input x (..., hidden) becomes before the non-linearity: (..., n), or gate and up if it is gated."""
        up = [linear_map(module, x) for module in self.ups]
        if self.norm is not None:
            return [(up[0] - self.norm.running_mean) * _scale(self.norm) + self.norm.bias]
        return list(up[0].chunk(2, -1)) if up[0].shape[-1] == 2 * neurons_of(self.down) else up

    def lengths(self) -> list[torch.Tensor]:
        """Lengths (n,), float32, of the weights that each of the pre-activations is made with."""
        from accelerate.utils import align_module_device

        found = []
        for module in self.ups:
            with align_module_device(module):
                found.append(weight_out(module).detach().float().norm(dim=1))
        if self.norm is not None:
            return [found[0] * _scale(self.norm).detach().abs()]
        return list(found[0].chunk(2)) if len(found[0]) == 2 * neurons_of(self.down) else found

    def neurons(self, pre_activations: list[torch.Tensor]) -> torch.Tensor:
        """Activations (..., n) of pre-activations."""
        if self.is_joint:
            return self.act(torch.cat(pre_activations, -1))
        gate, *up = pre_activations
        return self.act(gate) * up[0] if up else self.act(gate)


def shape_of(module: Any) -> tuple[int, int] | None:
    """(in, out) features of a linear map, None for other modules; Conv1D stores its weight the other way round."""
    if isinstance(module, torch.nn.Linear):
        return module.in_features, module.out_features
    if type(module).__name__ == "Conv1D":
        return tuple(module.weight.shape)
    return None


def features_of(module: torch.nn.Module) -> tuple[int, int]:
    """(in, out) features of what is known to be a linear map."""
    shape = shape_of(module)
    if shape is None:
        raise ValueError(f"{type(module).__name__} is no linear map")
    return shape


def weight_out(module: Any) -> torch.Tensor:
    """Weights (out, in) of a linear map. Of a down-projection: what its neurons write, shape (hidden, neurons).

    Of a convolution that reads the places around, `in` counts the channels of all of them.
    """
    if isinstance(module, torch.nn.Conv2d):
        return module.weight.flatten(1)
    return module.weight if isinstance(module, torch.nn.Linear) else module.weight.T


def linear_map(module: Any, x: torch.Tensor) -> torch.Tensor:
    """What a linear map makes of x (..., in), from its weights, wherever these are.

    For a convolution that reads the places around, x is a map (images, rows, columns, in).
    """
    from accelerate.utils import align_module_device

    with align_module_device(module):  # fetches weights that wait on the disk or in the memory of the machine
        x = x.to(module.weight.device)
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size != (1, 1):
            return module.forward(x.movedim(-1, 1)).movedim(1, -1)  # not called, since a call is read: see read_inputs
        return torch.nn.functional.linear(x, weight_out(module), module.bias)


def _scale(norm: Any) -> torch.Tensor:
    """What a norm multiplies every channel by (channels,)."""
    return norm.weight / (norm.running_var + norm.eps).sqrt()


def neurons_of(module: Any) -> int:
    """Number of neurons, or features, that feed a linear map, a convolution, or a norm before either."""
    if convolution := only_convolution(module):
        return convolution.in_channels
    return features_of(module)[0] if shape_of(module) else module.weight.shape[-1]


def only_convolution(module: torch.nn.Module) -> torch.nn.Conv2d | None:
    """The module's convolution if it is one or holds just one."""
    convolutions = [inner for inner in module.modules() if isinstance(inner, torch.nn.Conv2d)]
    return convolutions[0] if len(convolutions) == 1 else None


def only_linear(module: torch.nn.Module) -> torch.nn.Module | None:
    """The module's linear map if it is one or holds just one, as BERT's `intermediate` and `output` do."""
    linears = [inner for inner in module.modules() if shape_of(inner)]
    return linears[0] if len(linears) == 1 else None


def act_behind(module: torch.nn.Module, linear: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a module does behind the linear map that it holds: its own forward pass, with the map taken out.

    diffusers has non-linearities that are no attribute of any module, and gates before or behind what they multiply.
    """
    name = next(name for name, child in module.named_children() if child is linear)
    without = copy.copy(module)
    without._modules = {**module._modules, name: torch.nn.Identity()}
    return without.forward


def activation_of(owners: list[torch.nn.Module]) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The first non-linearity, module or function, among the attributes of the owners."""
    for owner in owners:
        for name, value in (vars(owner) | dict(owner.named_children())).items():
            if ACTIVATION.search(name) and callable(value) and not isinstance(value, torch.nn.Dropout):
                return value
    return None
