"""Sizes of networks from their configuration alone: no weight is allocated and no network is asked."""

import copy
from typing import NamedTuple

import torch
import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.networks.mlps import find_mlps, neurons_of, shape_of
from rosetta_scaling.networks.towers import config_of, model_class
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining, reason_of

PUBLIC = WORKFLOW / "models" / "public.yaml"


class Description(NamedTuple):
    """Sizes of a network."""

    layers: int
    neurons: tuple[int, ...]  # of each layer
    parameters: int
    non_embedding_parameters: int
    hidden: int
    vocabulary: int
    gated: bool


def public_models() -> dict[str, dict]:
    """Of every published network that plans know by name: `repository` on the hub, and `config`."""
    return yaml.safe_load(PUBLIC.read_text())


def public_config(name: str):
    """The transformers configuration of a published network. Raises StudyError for a name that is not known."""
    from transformers import AutoConfig

    models = public_models()
    if name not in models:
        raise StudyError(f"{name} is not in {PUBLIC}; expected one of {', '.join(models)}: correct it, or add it there")
    return AutoConfig.for_model(**models[name]["config"])


def parse(values: dict, where: str):
    """The transformers configuration of a config.json, read from `where`. Raises StudyError when there is no such."""
    from transformers import CONFIG_MAPPING, AutoConfig

    if (kind := values.get("model_type")) not in CONFIG_MAPPING:
        raise StudyError(
            f"{where} names the model_type {kind!r}; expected one that transformers knows: correct it, or choose "
            "another network"
        )
    with explaining(
        lambda error: (
            f"{where} is no configuration of a {kind} ({reason_of(error)}); correct it, or choose another network"
        )
    ):
        return AutoConfig.for_model(**values)


def describe(config) -> Description:
    """Sizes of the network that a transformers configuration makes.

    Raises StudyError for an architecture that cannot be built, or whose MLPs are not found.
    """
    with (
        explaining(
            lambda error: (
                f"transformers cannot build a {config.model_type} of this configuration ({reason_of(error)}); "
                "correct config.json, or choose another network"
            )
        ),
        torch.device("meta"),
    ):
        # some fill in what their configuration leaves open
        model = model_class(config).from_config(copy.deepcopy(config))
    mlps, tower = find_mlps(model), config_of(model)
    neurons = tuple(neurons_of(mlp.down) for mlp in mlps)
    vocabulary = getattr(tower, "vocab_size", 0)  # networks of images have none
    gated = len(mlps[0].ups) == 2 or shape_of(mlps[0].ups[0])[1] == 2 * neurons[0]
    return Description(len(neurons), neurons, *count_parameters(model), tower.hidden_size, vocabulary, gated)


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """Parameters, tied ones once, and those that are no embeddings (token, position, unembedding)."""
    embeddings = {p for m in model.modules() if isinstance(m, torch.nn.Embedding) for p in m.parameters()}
    if model.get_output_embeddings() is not None:
        embeddings |= set(model.get_output_embeddings().parameters())
    total = sum(p.numel() for p in model.parameters())
    return total, total - sum(p.numel() for p in embeddings)
