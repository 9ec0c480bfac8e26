"""Find the MLP down-projection of every block by the shapes of its modules, and read what flows into it.

A neuron is a coordinate of that input: the activation after the non-linearity, the gated product in gated MLPs.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch

from rosetta_scaling.store import StudyError


def _shape(module: torch.nn.Module) -> tuple[int, int] | None:
    """(in, out) features of a linear map; transformers' Conv1D stores its weight the other way round."""
    if isinstance(module, torch.nn.Linear):
        return module.in_features, module.out_features
    if type(module).__name__ == "Conv1D":
        return tuple(module.weight.shape)
    return None


def weight_out(module: torch.nn.Module) -> torch.Tensor:
    """Output weights of the neurons that feed a down-projection, shape (hidden, neurons)."""
    return module.weight if isinstance(module, torch.nn.Linear) else module.weight.T


def neurons_of(module: torch.nn.Module) -> int:
    """Number of neurons that feed a down-projection."""
    return _shape(module)[0]


def _down_projection(block: torch.nn.Module, hidden: int) -> list[torch.nn.Module]:
    """Down-projections inside one block: siblings where one or two maps lead up (hidden -> n) and one leads back.

    Attention does not fit the pattern: its query, key and value are three maps up, or one map three times as wide as
    the way back.
    """
    found = []
    for parent in block.modules():
        linears = [(child, shape) for child in parent.children() if (shape := _shape(child))]
        downs = [(child, shape) for child, shape in linears if shape[1] == hidden and child is linears[-1][0]]
        for down, (width, _) in downs:
            ups = [shape for child, shape in linears if child is not down]
            plain = 1 <= len(ups) <= 2 and all(shape == (hidden, width) for shape in ups)
            fused_gate = ups == [(hidden, 2 * width)]
            if plain or fused_gate:
                found.append(down)
    return found


def find_blocks(model: torch.nn.Module) -> torch.nn.ModuleList:
    """The stack of transformer blocks, each with one MLP down-projection. Raises StudyError when there is none."""
    hidden, depth = model.config.hidden_size, model.config.num_hidden_layers
    stacks = [m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth]
    counts = [[len(_down_projection(block, hidden)) for block in stack] for stack in stacks]
    for stack, found in zip(stacks, counts, strict=True):
        if all(count == 1 for count in found):
            return stack
    raise StudyError(
        f"{type(model).__name__}: found {counts or 'no stack of blocks'} MLP down-projections per block, expected one "
        f"in each of {depth} blocks; this architecture is not supported"
    )


def find_down_projections(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The MLP down-projection of every transformer block, in depth order."""
    return [_down_projection(block, model.config.hidden_size)[0] for block in find_blocks(model)]


class _Enough(Exception):
    """Ends a forward pass from within, once the last module has been read."""


@contextlib.contextmanager
def read_inputs(modules: dict[int, torch.nn.Module], receive: Callable[[int, torch.Tensor], None]) -> Iterator[None]:
    """Inside the block, a forward pass calls receive(layer, input of its module) and ends after the last layer."""
    last = max(modules)

    def hook_of(layer):
        def hook(_module, arguments):
            receive(layer, arguments[0].detach())
            if layer == last:
                raise _Enough

        return hook

    handles = [module.register_forward_pre_hook(hook_of(layer)) for layer, module in modules.items()]
    try:
        with contextlib.suppress(_Enough):
            yield
    finally:
        for handle in handles:
            handle.remove()
