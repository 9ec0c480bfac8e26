"""Make sure that what is read from a network are the neurons of its MLPs, as its weights define them.

mlps.py finds MLPs by the structure of modules. Nothing there says how a module computes: a norm before the
down-projection, halves in another order, or weights that are not used as they are would go unnoticed.
"""

import torch

from rosetta_scaling.networks.batches import arguments
from rosetta_scaling.networks.mlps import Mlp, config_of, find_mlps, neurons_of, read_inputs, weight_out
from rosetta_scaling.store.errors import StudyError

TOLERANCE = 1e-4  # of the largest neuron of a layer, in float32 ...
ROUNDINGS = 4  # ... and so many steps of the last digit in lower precision, which round at every operation


@torch.inference_mode()
def check_neurons(model: torch.nn.Module, inputs: dict[str, torch.Tensor] | None = None) -> None:
    """Recompute the neurons of every MLP from its input and weights on one batch, and compare with what is read.

    `inputs` are arguments of the model, which has to be in eval mode; by default a few random tokens, or an image.
    Raises StudyError when they differ, when a module that was found takes no part, or when the network cannot be read
    from such inputs alone.
    """
    mlps, entered, checked = find_mlps(model), {}, set()

    def receive(place: int, values: torch.Tensor) -> None:
        layer, leaves = divmod(place, 2)
        if not leaves:
            entered[layer] = values
        elif layer in entered:
            _compare(model, layer, values, recompute(mlps[layer], entered.pop(layer)))
            checked.add(layer)

    modules = {2 * layer: mlp.ups[0] for layer, mlp in enumerate(mlps)}
    modules |= {2 * layer + 1: mlp.down for layer, mlp in enumerate(mlps)}
    inputs = _probe(model) if inputs is None else inputs
    try:
        with read_inputs(modules, receive):
            model(**inputs)
    except (StudyError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # architectures raise whatever they like
        raise cannot_be_read(model, next(iter(inputs)), error) from error
    if missed := sorted(set(range(len(mlps))) - checked):
        raise StudyError(
            f"{type(model).__name__}: nothing passes through the up-projection and then the down-projection that were "
            f"found in layer {missed[0]}, expected both to be used; this architecture is not supported, choose another "
            "network"
        )


def cannot_be_read(model: torch.nn.Module, inputs: str, error: Exception) -> StudyError:
    """What to say of a network that raised an error when it was given `inputs` ("input_ids") and nothing else."""
    what = {"input_ids": "tokens", "pixel_values": "an image"}[inputs]
    part = ", or, if it has a part that does, save that as a folder of its own" if model.config.sub_configs else ""
    return StudyError(
        f"{type(model).__name__} does not read {what} alone ({_first_line(error)}); expected a network that does: "
        f"choose another one{part}"
    )


def _first_line(error: Exception) -> str:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def recompute(mlp: Mlp, x: torch.Tensor) -> torch.Tensor:
    """Neurons (..., n) of an MLP on its input x (..., hidden), from the weights, where these are."""
    up = [_map(module, x) for module in mlp.ups]
    if up[0].shape[-1] == 2 * neurons_of(mlp.down):
        up = up[0].chunk(2, -1)
    return mlp.act(up[0]) if len(up) == 1 else mlp.act(up[0]) * up[1]


def _map(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    from accelerate.utils import align_module_device

    with align_module_device(module):  # fetches weights that wait on the disk or in the memory of the machine
        weight = weight_out(module)
        return torch.nn.functional.linear(x.to(weight.device), weight, module.bias)


def _compare(model: torch.nn.Module, layer: int, read: torch.Tensor, expected: torch.Tensor) -> None:
    tolerance = max(TOLERANCE, ROUNDINGS * torch.finfo(expected.dtype).eps)
    found, wanted = tuple(read.shape), tuple(expected.shape)
    if found == wanted:
        expected = expected.float()
        largest, off = expected.abs().max(), (read.to(expected) - expected).abs().max()
        if off <= tolerance * largest:  # not so for NaN
            return
        found, wanted = f"numbers that are off by {off / largest:.1g} of the largest", f"at most {tolerance:.1g}"
    raise StudyError(
        f"{type(model).__name__}: the input of the down-projection in layer {layer} is not what the weights of its MLP "
        f"make of theirs (found {found}, expected {wanted}); this architecture is not supported, or its weights are "
        "damaged: choose another network"
    )


def _probe(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A batch of anything: two rows of eight tokens, or one image."""
    config, generator = config_of(model), torch.Generator().manual_seed(0)
    device = "cpu" if model.device.type == "meta" else model.device  # meta: weights that wait on the disk
    if model.main_input_name == "pixel_values":
        height, width = (config.image_size,) * 2 if isinstance(config.image_size, int) else config.image_size
        pixels = torch.randn(1, config.num_channels, height, width, generator=generator)
        return {"pixel_values": pixels.to(device, model.dtype)}
    return arguments(model, torch.randint(config.vocab_size, (2, 8), generator=generator).to(device))
