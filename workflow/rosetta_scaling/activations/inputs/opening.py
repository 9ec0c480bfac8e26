"""The inputs of a network by what it reads. Another modality is another file beside text.py and an entry here."""

import pandas as pd
import torch

from rosetta_scaling.activations.inputs.contract import Inputs
from rosetta_scaling.activations.inputs.text import TextInputs
from rosetta_scaling.networks.towers import modality_of
from rosetta_scaling.store.errors import StudyError

INPUTS = {"text": TextInputs}


def open_inputs(model: torch.nn.Module, samples: pd.DataFrame, device: torch.device) -> Inputs:
    """What a network reads, from the table of its samples: tokens, for a network of text.

    Raises StudyError when the network cannot read them.
    """
    modality = modality_of(model)
    if modality not in INPUTS:
        raise StudyError(
            f"{type(model).__name__} reads a {modality}; expected a network that reads {' or '.join(INPUTS)}: choose "
            "another network"
        )
    return INPUTS[modality](model, samples, device)
