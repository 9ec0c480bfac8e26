"""The inputs of a network by what it reads. Another modality is another file beside these and an entry here."""

from collections.abc import Callable

import pandas as pd
import torch

from rosetta_scaling.activations.inputs.contract import Inputs
from rosetta_scaling.activations.inputs.images import ImageInputs
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.networks.towers import modality_of

INPUTS: dict[str, Callable[..., Inputs]] = {"text": TextInputs, "image": ImageInputs}


def open_inputs(model: torch.nn.Module, samples: pd.DataFrame, device: torch.device) -> Inputs:
    """What a network reads, from the table of its samples: tokens, for a network of text, or images.

    Raises StudyError when the network cannot read them.
    """
    return INPUTS[modality_of(model)](model, samples, device)
