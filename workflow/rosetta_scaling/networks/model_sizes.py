"""Sizes of networks from what their configuration says, without building them."""

import copy
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.families import Family
from rosetta_scaling.config.ladder import Size
from rosetta_scaling.networks.generators import generator_at
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import reading_network

PUBLIC = WORKFLOW / "models" / "public.yaml"
PACKAGES = WORKFLOW / "models" / "packages.yaml"


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a network: of one that was built exactly, of one that is only configured the weights of its matrices."""

    widths: tuple[int, ...]  # neurons of every layer
    hidden: int
    vocabulary: int
    parameters: int
    non_embedding_parameters: int

    @property
    def layers(self) -> int:
        return len(self.widths)

    @property
    def width(self) -> int:
        """Neurons of the widest layer."""
        return max(self.widths)

    @property
    def neurons(self) -> int:
        return sum(self.widths)


def transformer_size(layers: int, width: int, hidden: int, vocabulary: int, *, gated: bool = False) -> ModelSize:
    """A transformer whose layers are alike, with `width` neurons each and matrices of embeddings on both sides."""
    matrices = layers * ((3 if gated else 2) * hidden * width + 4 * hidden**2)
    return ModelSize((width,) * layers, hidden, vocabulary, matrices + 2 * vocabulary * hidden, matrices)


def trained_size(family: Family, size: Size) -> ModelSize:
    """The network that ladder.make_config makes."""
    gated = family.architecture == "llama"
    width = 8 * round(size.hidden_size / 3) if gated else 4 * size.hidden_size
    return transformer_size(size.layers, width, size.hidden_size, family.vocabulary or 0, gated=gated)


def folder_size(folder: str | Path, modality: str = "text") -> ModelSize:
    """The network of a `save_pretrained` folder, by its config.json."""
    if modality == "image" and (generator := generator_at(folder)):
        layers, gated = generator.values["num_layers"], generator.is_gated
        return transformer_size(layers, generator.width, generator.hidden, 0, gated=gated)
    path = Path(folder) / "config.json"
    with reading_network(folder):
        return config_size(json.loads(path.read_text()), str(path), modality)


def published(source: str, name: str) -> dict | None:
    """What workflow/models/ knows of a network, if it does: no network is asked.

    `source` is "hub" or "package", `name` owner/name@revision or the name of a package's model.
    """
    if source == "hub":
        models = {
            repository: entry
            for entry in public_models().values()
            for repository in (entry["repository"], *entry.get("same_shape", ()))
        }
    else:
        models = _models_file(PACKAGES)
    return copy.deepcopy(models.get(name.split("@")[0]))


def public_models() -> dict[str, dict]:
    """Of every published network that plans know by name: `repository` on the hub, and `config`."""
    return _models_file(PUBLIC)


@functools.cache
def _models_file(path: Path) -> dict:
    """Read once: a plan asks for the size of every network many times."""
    return yaml.safe_load(path.read_text())


# Without a width in their configuration, MLPs of these types are four times as wide as the residual stream.
FOUR_TIMES = ("gpt2", "gptj", "codegen", "bloom", "falcon")


def config_size(values: dict, where: str, modality: str = "text") -> ModelSize:
    """The network that a configuration, read from `where`, makes. Raises StudyError when it makes no transformer.

    Most configurations name all sizes. Of others transformers builds the network, without weights, which takes seconds.
    """
    tower = {"text": "text_config", "image": "vision_config"}[modality]  # of a network that both reads and sees
    named = values.get(tower) or values

    def first(*names: str):
        return next((named[name] for name in names if named.get(name)), None)

    hidden = first("hidden_size", "n_embd", "d_model")
    layers = first("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    width = first("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "d_ff")
    if hidden and not width and values.get("model_type") in FOUR_TIMES:
        width = 4 * hidden
    if not all(isinstance(size, int) for size in (hidden, layers, width)):
        return _built_size(json.dumps(values, sort_keys=True), where, modality)
    gated = first("hidden_act", "activation_function") in ("silu", "gelu_pytorch_tanh")
    vocabulary = first("vocab_size") or 0  # networks of images have none
    for name, value in {"layers": layers, "width": width, "hidden": hidden, "vocabulary": vocabulary}.items():
        least = 0 if name == "vocabulary" else 1
        if not isinstance(value, int) or value < least:
            raise StudyError(
                f"{where} gives {value!r} as a number ({name}), a whole number from {least} on was expected: correct it"
            )
    return transformer_size(layers, width, hidden, vocabulary, gated=gated)


@functools.cache
def _built_size(values: str, where: str, modality: str) -> ModelSize:
    """The size of the network that transformers makes of a configuration, a JSON object."""
    from rosetta_scaling.networks.sizes import parse, size_of_config  # here, because they import torch

    return size_of_config(parse(json.loads(values), where), modality)


def require_planned(model: str, neurons: int, planned: int) -> None:
    """Raise StudyError when a network has another number of neurons than its configuration said."""
    if neurons != planned:
        raise StudyError(
            f"{model} has {neurons:,} neurons, but its configuration made the plan expect {planned:,}; this "
            "architecture is not supported"
        )
