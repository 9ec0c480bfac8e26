"""Sizes of networks from what their configuration says, without building them."""

import copy
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.activations.chunks import WINDOW_BATCHES
from rosetta_scaling.config.study import Family, Size
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import reading_network


@dataclass(frozen=True)
class ModelSize:
    """What a plan needs to know of a network."""

    layers: int
    width: int  # neurons per layer
    hidden: int
    vocabulary: int
    gated: bool = False

    @property
    def neurons(self) -> int:
        return self.layers * self.width

    @property
    def parameters(self) -> int:
        """Weights of all matrices."""
        maps = (3 if self.gated else 2) * self.hidden * self.width + 4 * self.hidden**2
        return self.layers * maps + 2 * self.vocabulary * self.hidden

    def forward_bytes(self, batch_tokens: int, weight_bytes: int = 4) -> int:
        """Memory of a network that is being read: weights, a batch inside a block, a window of all neurons."""
        inside_a_block = 4 * batch_tokens * (6 * self.width + 16 * self.hidden)
        return weight_bytes * self.parameters + inside_a_block + 2 * WINDOW_BATCHES * batch_tokens * self.neurons


def trained_size(family: Family, size: Size) -> ModelSize:
    """The network that ladder.make_config makes."""
    gated = family.architecture == "llama"
    width = 8 * round(size.hidden_size / 3) if gated else 4 * size.hidden_size
    return ModelSize(size.layers, width, size.hidden_size, family.vocabulary, gated)


def folder_size(folder: str | Path) -> ModelSize:
    """The network of a `save_pretrained` folder, by its config.json."""
    path = Path(folder) / "config.json"
    with reading_network(folder):
        size = config_size(json.loads(path.read_text()), str(path))
    for name in ("layers", "width", "hidden", "vocabulary"):
        least = 0 if name == "vocabulary" else 1  # networks of images have none
        if not isinstance(found := getattr(size, name), int) or found < least:
            raise StudyError(
                f"{path} gives {found!r} as a number ({name}), a whole number from {least} on was expected: correct it"
            )
    return size


def published(source: str, name: str) -> dict | None:
    """What workflow/models/ knows of a network, if it does: no network is asked.

    `source` is "hub" or "package", `name` owner/name@revision or the name of a package's model.
    """
    known = _models_file("public.yaml" if source == "hub" else "packages.yaml")
    models = known
    if source == "hub":
        models = {
            name: entry for entry in known.values() for name in (entry["repository"], *entry.get("same_shape", ()))
        }
    return copy.deepcopy(models.get(name.split("@")[0]))


@functools.cache
def _models_file(name: str) -> dict:
    """Read once: a plan asks for the size of every network many times."""
    return yaml.safe_load((WORKFLOW / "models" / name).read_text())


# Without a width in their configuration, MLPs of these types are four times as wide as the residual stream.
FOUR_TIMES = ("gpt2", "gptj", "codegen", "bloom", "falcon")


def config_size(values: dict, where: str) -> ModelSize:
    """The network that a configuration makes; `where` it stands is told when it is not that of a transformer.

    Most configurations name all sizes. Of others transformers builds the network, without weights, which takes seconds.
    """
    named = values.get("text_config") or values  # of a network that also sees, the part that reads

    def first(*names: str):
        return next((named[name] for name in names if named.get(name)), None)

    hidden = first("hidden_size", "n_embd", "d_model")
    layers = first("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    width = first("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "d_ff")
    if hidden and not width and values.get("model_type") in FOUR_TIMES:
        width = 4 * hidden
    if not all(isinstance(size, int) for size in (hidden, layers, width)):
        return _built_size(json.dumps(values, sort_keys=True), where)
    gated = first("hidden_act", "activation_function") in ("silu", "gelu_pytorch_tanh")
    return ModelSize(layers, width, hidden, first("vocab_size") or 0, gated)


@functools.cache
def _built_size(values: str, where: str) -> ModelSize:
    """The size of the network that transformers makes of a configuration, a JSON object."""
    from rosetta_scaling.networks.sizes import describe, parse  # here, because they import torch

    about = describe(parse(json.loads(values), where))
    if len(set(about.neurons)) > 1:
        raise StudyError(
            f"{where} makes layers of {min(about.neurons):,} to {max(about.neurons):,} neurons, expected equally many "
            "in all layers: choose another network"
        )
    return ModelSize(about.layers, about.neurons[0], about.hidden, about.vocabulary, about.gated)


def require_planned(model: str, neurons: int, planned: int) -> None:
    """Raise StudyError when a network has another number of neurons than its configuration said."""
    if neurons != planned:
        raise StudyError(
            f"{model} has {neurons:,} neurons, but its configuration made the plan expect {planned:,}; this "
            "architecture is not supported"
        )
