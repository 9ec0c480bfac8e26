"""Exact sizes of networks, from the network or from its configuration, for which no weight is allocated."""

import copy
from typing import Any

import torch

from rosetta_scaling.networks.mlps import find_down_projections, neurons_of
from rosetta_scaling.networks.model_sizes import PUBLIC, ModelSize, public_models
from rosetta_scaling.store.errors import StudyError


def public_config(name: str):
    """The transformers configuration of a published network. Raises StudyError for a name that is not known."""
    from transformers import AutoConfig

    models = public_models()
    if name not in models:
        raise StudyError(f"{name} is not in {PUBLIC}; expected one of {', '.join(models)}: correct it, or add it there")
    return AutoConfig.for_model(**models[name]["config"])


def is_causal(config) -> bool:
    """Whether a network reads from left to right; encoders could be made to, but were not trained to."""
    from transformers.models.auto import modeling_auto as known

    causal = config.model_type in known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return causal and config.model_type not in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES


def model_class(config) -> Any:
    """The class that reads a network: a causal language model, or an encoder without its head."""
    from transformers import AutoModel, AutoModelForCausalLM

    return AutoModelForCausalLM if is_causal(config) else AutoModel


def size_of_config(config) -> ModelSize:
    """Sizes of the network that a transformers configuration makes.

    Raises StudyError for an architecture whose MLPs are not found.
    """
    with torch.device("meta"):
        # A copy, since some networks fill in what their configuration leaves open.
        return size_of_model(model_class(config).from_config(copy.deepcopy(config)))


def size_of_model(model: torch.nn.Module) -> ModelSize:
    """Sizes of a network that was built; hidden size and vocabulary are 0 where its configuration names none."""
    widths = tuple(neurons_of(down) for down in find_down_projections(model))
    hidden, vocabulary = (getattr(model.config, name, None) or 0 for name in ("hidden_size", "vocab_size"))
    return ModelSize(widths, hidden, vocabulary, *count_parameters(model))


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Parameters, tied ones once, and those that are no embeddings (token, position, unembedding)."""
    embeddings = {p for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    network: Any = model
    if (head := network.get_output_embeddings()) is not None:
        embeddings |= set(head.parameters())
    total = sum(p.numel() for p in model.parameters())
    return total, total - sum(p.numel() for p in embeddings)
