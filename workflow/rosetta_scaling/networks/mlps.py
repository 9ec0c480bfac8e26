"""Find the MLP of every transformer block by the structure of its modules, and read what flows into its way back.

A neuron is a coordinate of the input of the down-projection: the activation after the non-linearity, the gated product
in gated MLPs. In a convolutional network it is a channel of what its blocks make of every place of a map, after the
non-linearity: see convolutions.py. What is found by structure is to be checked by arithmetic before it is used: see
self_check.py.
"""

import contextlib
import re
from collections.abc import Callable, Iterator

import torch

from rosetta_scaling.networks.convolutions import mlps_of_maps
from rosetta_scaling.networks.linear import Mlp, act_behind, activation_of, features_of, only_convolution, only_linear
from rosetta_scaling.networks.towers import config_of, require_known_input, tower_of
from rosetta_scaling.store.errors import StudyError

# What they call attention to the states of another network: encoder_attn, crossattention, cross_attn, EncDecAttention.
CROSS_ATTENTION = re.compile(r"cross_?att|encoder_att|encdec_?att", re.IGNORECASE)


def _mlps(block: torch.nn.Module, hidden: int | None) -> list[Mlp]:
    """MLPs inside one block: siblings, of which one or two lead up (hidden -> n), or one (hidden -> 2 n), and one back.

    A non-linearity stands beside them. It tells them from attention of the same shapes: with half as many keys and
    values as queries, its fused projections (hidden -> 2 hidden) and the way back look like a gated MLP.
    """
    found = []
    for parent in block.modules():
        linears = {name: only for name, child in parent.named_children() if (only := only_linear(child))}
        if mlp := _mlp_of_steps(parent, list(linears.values()), hidden):
            found.append(mlp)
            continue
        act = activation_of([parent, *(parent.get_submodule(name) for name in linears)])
        if act is None or len(linears) not in (2, 3):
            continue
        for back in reversed(linears):  # of maps of equal shapes the last leads back
            width, out = features_of(linears[back])
            # The gate comes before the other map, wherever it is registered.
            ups = sorted((name for name in linears if name != back), key=lambda name: "gate" not in name)
            shapes = [features_of(linears[name]) for name in ups]
            if out == hidden and (set(shapes) == {(hidden, width)} or shapes == [(hidden, 2 * width)]):
                found.append(Mlp(tuple(linears[name] for name in ups), act, linears[back]))
                break
    return found


def _mlp_of_steps(parent: torch.nn.Module, linears: list[torch.nn.Module], hidden: int | None) -> Mlp | None:
    """The MLP of a list of steps, as the feed-forward layers of diffusers are: a module that leads up and holds the
    non-linearity, gate included, and a linear map that leads back.
    """
    steps = list(parent.children())
    if not isinstance(parent, torch.nn.ModuleList) or len(linears) != 2 or linears[0] in steps:
        return None
    (up, back), holder = linears, next(step for step in steps if linears[0] in step.children())
    width, out = features_of(back)
    if back not in steps or out != hidden or features_of(up) not in ((hidden, width), (hidden, 2 * width)):
        return None
    return Mlp((up,), act_behind(holder, up), back, is_joint=True)


def _refuse_experts(model: torch.nn.Module, stack: torch.nn.ModuleList) -> None:
    """Experts are modules of their own or, in one piece, parameters (experts, out, in); they share only the name."""
    for name, module in stack.named_modules():
        if "expert" in name.rpartition(".")[2] or "Expert" in type(module).__name__:
            raise StudyError(
                f"{type(model).__name__} is a mixture of experts (block {name}), whose neurons are silent wherever the "
                "text is not routed to their expert; expected one MLP in every block that reads all of the text: "
                "choose a dense network"
            )


def _refuse_adapters(model: torch.nn.Module, stack: torch.nn.ModuleList) -> None:
    """They are small MLPs, which could be taken for those of the blocks (X-MOD)."""
    for name, _ in stack.named_modules():
        if "adapter" in name.rpartition(".")[2]:
            raise StudyError(
                f"{type(model).__name__} has adapters in its blocks (block {name}); expected one MLP in every block, "
                "and nothing added to it: merge them, or choose another network"
            )


def _refuse_cross_attention(model: torch.nn.Module, tower: torch.nn.Module) -> None:
    """A decoder that attends to an encoder gives other numbers without it, and text alone does not feed one."""
    for name, _ in tower.named_modules():
        if CROSS_ATTENTION.search(name.rpartition(".")[2]):
            raise StudyError(
                f"{type(model).__name__} is a decoder that attends to an encoder ({name}), which text "
                "alone does not reach; expected a network that reads text by itself: choose another network"
            )


def find_blocks(model: torch.nn.Module) -> torch.nn.ModuleList:
    """The first stack of transformer blocks with one MLP each.

    Raises StudyError when there is none, and for networks whose neurons would not mean what they seem to.
    """
    require_known_input(model)
    tower, config = tower_of(model), config_of(model)
    hidden, depth = (getattr(config, name, None) for name in ("hidden_size", "num_hidden_layers"))
    _refuse_cross_attention(model, tower)
    stacks = [m for m in tower.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth]
    counts = set()
    for stack in stacks:
        _refuse_experts(model, stack)
        _refuse_adapters(model, stack)
        found = {len(_mlps(block, hidden)) for block in stack}
        if found == {1}:
            return stack
        counts |= found
    raise StudyError(
        f"{type(model).__name__}: found {' or '.join(map(str, sorted(counts))) or 'no stack of blocks with'} MLP "
        f"down-projections per block, expected one in each of {depth} blocks; this architecture is not supported, "
        "choose another network"
    )


def find_mlps(model: torch.nn.Module) -> list[Mlp]:
    """The MLP of every transformer block, or those of a convolutional network, in depth order."""
    require_known_input(model)
    if mlps := mlps_of_maps(tower_of(model)):
        return mlps
    blocks, hidden = find_blocks(model), config_of(model).hidden_size
    return [_mlps(block, hidden)[0] for block in blocks]


def find_down_projections(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The way back of every MLP, in depth order."""
    return [mlp.down for mlp in find_mlps(model)]


class _Enough(Exception):
    """Ends a forward pass from within, once the last module has been read."""


@contextlib.contextmanager
def read_inputs(modules: dict[int, torch.nn.Module], receive: Callable[[int, torch.Tensor], None]) -> Iterator[None]:
    """Inside the block, a forward pass calls receive(layer, input of its module) and ends after the last layer.

    The neurons of a place stand beside each other, also in what enters a convolution: (images, rows, columns, neurons).
    """
    last = max(modules)

    def hook_of(layer):
        is_map = only_convolution(modules[layer]) is not None

        def hook(_module, arguments):
            values = arguments[0].detach()
            receive(layer, values.movedim(1, -1) if is_map else values)
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


@contextlib.contextmanager
def read_output(module: torch.nn.Module, receive: Callable[[torch.Tensor], None]) -> Iterator[None]:
    """Inside the block, a forward pass calls receive(first output of the module) and ends after it."""

    def hook(_module, _arguments, output):
        receive((output if isinstance(output, torch.Tensor) else output[0]).detach())
        raise _Enough

    handle = module.register_forward_hook(hook)
    try:
        with contextlib.suppress(_Enough):
            yield
    finally:
        handle.remove()
