"""How a batch of passages goes into a network, and how the neurons of its tokens come out."""

import inspect
from typing import Any

import torch

from rosetta_scaling.store.errors import StudyError


def arguments(model: torch.nn.Module, ids: torch.Tensor, inside: torch.Tensor | None = None) -> dict:
    """What a network is called with to read token ids (passages, tokens).

    `inside` (passages, tokens) is true of tokens of the text and false of padding; None: the network is not told.
    """
    called_with: dict[str, Any] = {"input_ids": ids}
    if "use_cache" in inspect.signature(model.forward).parameters:
        called_with["use_cache"] = False
    if inside is not None:
        called_with["attention_mask"] = inside.long()
    return called_with


def token_rows(neurons: torch.Tensor, passages: int, tokens: int) -> torch.Tensor:
    """Neurons (passages * tokens, n) of a batch, one passage after the other, from what an MLP hands over.

    That is (passages, tokens, n); more tokens where a network pads its text itself (Longformer); or, as in OPT,
    (passages * tokens, n). Raises StudyError for anything else.
    """
    shape = tuple(neurons.shape)
    if len(shape) == 3 and shape[0] == passages and shape[1] >= tokens:
        return neurons[:, :tokens].flatten(0, 1)
    if len(shape) == 2 and shape[0] == passages * tokens:
        return neurons
    raise StudyError(
        f"the MLPs hand the neurons of {passages} passages of {tokens} tokens over in the shape {shape}, expected "
        f"({passages}, {tokens}, {shape[-1]}): this architecture is not supported, choose another network"
    )
