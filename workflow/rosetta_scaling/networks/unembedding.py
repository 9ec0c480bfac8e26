"""How the unembedding of a network reads what its neurons write: directly, through a norm, through a projection."""

import copy

import torch

from rosetta_scaling.networks.mlps import find_blocks
from rosetta_scaling.networks.towers import config_of, has_other_towers, is_encoder_decoder, tower_of, unembedding_of
from rosetta_scaling.store.errors import StudyError


def require_comparable(model: torch.nn.Module) -> None:
    """Raise StudyError when output_metrics could not be worked out: to be asked before hours of reading.

    Weights that wait on the disk are not fetched for it.
    """
    if unembedding_reads_neurons(model, unembedding_of(model))[0]:
        norm = final_norm(model)
        if norm is not None and not any(parameter.is_meta for parameter in norm.parameters()):
            measure_final_norm(model)


def unembedding_reads_neurons(model: torch.nn.Module, head: torch.nn.Linear | None) -> tuple[bool, torch.Tensor | None]:
    """Whether the unembedding reads what neurons write, and the projection (width, hidden) in between, if any.

    It does not without an unembedding, in an encoder-decoder, where it reads the decoder, nor behind the transform of a
    masked-language-model head (BERT, ELECTRA), which is not linear. Such a transform begins with a Linear that leads
    from the hidden size to the width of W_U. If the two are equal, any such Linear outside the blocks is taken for one;
    if not, a single one without bias is a projection. In a network that also sees, only the part that reads is
    searched: text does not pass the others.
    """
    if head is None or is_encoder_decoder(model):
        return False, None
    hidden, width = config_of(model).hidden_size, head.weight.shape[1]
    searched = tower_of(model) if has_other_towers(model) else model
    outside = set(searched.modules()) - set(find_blocks(model).modules()) - {head}
    linears = [module for module in outside if isinstance(module, torch.nn.Linear)]
    between = [module for module in linears if module.weight.shape == (width, hidden)]
    if width == hidden:
        return not between, None
    if len(between) == 1 and between[0].bias is None:
        return True, between[0].weight
    return False, None


@torch.no_grad()
def measure_final_norm(model: torch.nn.Module) -> tuple[torch.Tensor, bool]:
    """Gain (hidden,) of the norm beside the stack of blocks, and whether it subtracts the mean of its input.

    Measured, not read: a norm maps x whose mean is 0 and whose scale is 1 to gain * x + bias, whether it is a
    LayerNorm, an RMSNorm, or one that stores gain - 1; a LayerNorm does not see a shift of x. Without a norm: 1, False.
    """
    hidden, norm = config_of(model).hidden_size, final_norm(model)
    if norm is None:
        return torch.ones(hidden), False
    norm = copy.deepcopy(norm).float().cpu()  # low precision would round gain + bias
    x = torch.ones(hidden)
    x[1::2] = -len(x[0::2]) / len(x[1::2])
    x /= x.square().mean().sqrt()
    try:
        plain, shifted = ((norm(y) - norm(-y)) / 2 for y in (x, x + 1))  # without the bias
    except (TypeError, ValueError, RuntimeError) as error:
        raise StudyError(
            f"{type(model).__name__}: its final norm ({type(norm).__name__}) cannot be measured on a vector ({error}); "
            "expected a LayerNorm or an RMSNorm: choose another network"
        ) from error
    return plain / x, bool((shifted - plain).norm() < 1e-3 * plain.norm())


def final_norm(model: torch.nn.Module) -> torch.nn.Module | None:
    """The norm that stands beside the stack of blocks, if any does."""
    stack, hidden = find_blocks(model), config_of(model).hidden_size
    parent = next(module for module in model.modules() if any(child is stack for child in module.children()))
    named = [module for module in parent.children() if "norm" in type(module).__name__.lower()]
    norms = [norm for norm in named if getattr(norm, "weight", None) is None or norm.weight.shape == (hidden,)]
    return norms[-1] if norms else None
