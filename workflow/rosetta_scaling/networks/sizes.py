"""Exact sizes of networks, from the network or from its configuration, for which no weight is allocated."""

import copy
from typing import Any

import torch

from rosetta_scaling.networks.generators import GeneratorConfig
from rosetta_scaling.networks.linear import neurons_of
from rosetta_scaling.networks.mlps import find_mlps
from rosetta_scaling.networks.model_sizes import ModelSize
from rosetta_scaling.networks.towers import config_of, config_to_read, model_class
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining, reason_of


def parse(values: dict, where: str):
    """The transformers configuration of a config.json, read from `where`. Raises StudyError when there is no such."""
    from transformers import CONFIG_MAPPING, AutoConfig

    if (kind := values.get("model_type")) not in CONFIG_MAPPING:
        raise StudyError(
            f"{where} names the model_type {kind!r}; expected one that transformers knows: correct it, or choose "
            "another network"
        )

    def sentence(error: BaseException) -> str:
        return f"{where} is no configuration of a {kind} ({reason_of(error)}); correct it, or choose another network"

    with explaining(sentence):
        return AutoConfig.for_model(**values)


def size_of_config(config, modality: str = "text") -> ModelSize:
    """Sizes of what is read of the network that a transformers configuration makes.

    Raises StudyError for an architecture that cannot be built, or whose MLPs are not found.
    """

    def sentence(error: BaseException) -> str:
        return (
            f"transformers cannot build a {config.model_type} of this configuration ({reason_of(error)}); correct "
            "config.json, or choose another network"
        )

    config = config_to_read(config, modality)
    with explaining(sentence), torch.device("meta"):
        # A copy, since some networks fill in what their configuration leaves open.
        model = model_class(config).from_config(copy.deepcopy(config))
    return size_of_model(model)


def size_of_model(model: torch.nn.Module) -> ModelSize:
    """Sizes of a network that was built, or of the part of it that is read.

    The vocabulary is 0 where its configuration names none, as in networks of images.
    """
    mlps = find_mlps(model)
    widths, config = tuple(neurons_of(mlp.down) for mlp in mlps), config_of(model)
    hidden = config.hidden_size if isinstance(config, GeneratorConfig) else neurons_of(mlps[-1].ups[0])
    return ModelSize(widths, hidden, getattr(config_of(model), "vocab_size", 0), *count_parameters(model))


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Parameters, tied ones once, and those that are no embeddings (token, position, unembedding)."""
    embeddings = {p for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    network: Any = model
    if (head := network.get_output_embeddings()) is not None:
        embeddings |= set(head.parameters())
    total = sum(p.numel() for p in model.parameters())
    return total, total - sum(p.numel() for p in embeddings)
