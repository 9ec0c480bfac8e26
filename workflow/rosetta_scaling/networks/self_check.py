"""Make sure that what is read from a network are the neurons of its MLPs, as its weights define them.

mlps.py finds MLPs by the structure of modules. Nothing there says how a module computes: a norm before the
down-projection, halves in another order, or weights that are not used as they are would go unnoticed.
"""

from functools import partial

import torch

from rosetta_scaling.networks.mlps import find_mlps, read_inputs
from rosetta_scaling.networks.towers import cannot_be_read, probe_inputs
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining

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
            mlp = mlps[layer]
            _compare(model, layer, values, mlp.neurons(mlp.pre_activations(entered.pop(layer))))
            checked.add(layer)

    modules = {2 * layer: mlp.ups[0] for layer, mlp in enumerate(mlps)}
    modules |= {2 * layer + 1: mlp.down for layer, mlp in enumerate(mlps)}
    inputs = probe_inputs(model) if inputs is None else inputs
    # Architectures raise whatever they like.
    with explaining(partial(cannot_be_read, model, next(iter(inputs)))), read_inputs(modules, receive):
        model(**inputs)
    if missed := sorted(set(range(len(mlps))) - checked):
        raise StudyError(
            f"{type(model).__name__}: nothing passes through the up-projection and then the down-projection that were "
            f"found in layer {missed[0]}, expected both to be used; this architecture is not supported, choose another "
            "network"
        )


def _compare(model: torch.nn.Module, layer: int, read: torch.Tensor, expected: torch.Tensor) -> None:
    tolerance = max(TOLERANCE, ROUNDINGS * torch.finfo(expected.dtype).eps)
    found, wanted = str(tuple(read.shape)), str(tuple(expected.shape))
    if read.shape == expected.shape:
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
