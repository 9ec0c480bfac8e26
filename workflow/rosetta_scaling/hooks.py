"""Find the MLP down-projection of every block by the shapes of its modules, and capture what flows into it.

A neuron is a coordinate of that input: the activation after the non-linearity, the gated product in gated MLPs.
"""

import contextlib
from collections.abc import Iterator

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


def find_down_projections(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The MLP down-projection of every transformer block, in depth order. Raises StudyError when blocks are not so."""
    hidden = model.config.hidden_size
    stacks = [stack for stack in model.modules() if isinstance(stack, torch.nn.ModuleList)]
    stacks = [stack for stack in stacks if len(stack) == model.config.num_hidden_layers]
    for stack in stacks:
        per_block = [_down_projection(block, hidden) for block in stack]
        if all(len(found) == 1 for found in per_block):
            return [found[0] for found in per_block]
    counts = [[len(_down_projection(block, hidden)) for block in stack] for stack in stacks]
    raise StudyError(
        f"{type(model).__name__}: found {counts or 'no stack of blocks'} MLP down-projections per block, expected one "
        f"in each of {model.config.num_hidden_layers} blocks; this architecture is not supported"
    )


@contextlib.contextmanager
def capture(modules: list[torch.nn.Module]) -> Iterator[dict[int, torch.Tensor]]:
    """Inside the block, every forward pass leaves {layer: input of its module} in the yielded dictionary."""
    captured: dict[int, torch.Tensor] = {}

    def keep(layer):
        def hook(_module, arguments):
            captured[layer] = arguments[0].detach()

        return hook

    handles = [module.register_forward_pre_hook(keep(layer)) for layer, module in enumerate(modules)]
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()
