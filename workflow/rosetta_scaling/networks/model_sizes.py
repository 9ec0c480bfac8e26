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
    return config_size(json.loads(path.read_text()), str(path))


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


def config_size(values: dict, where: str) -> ModelSize:
    """The network that a configuration makes; `where` it stands is told when it is not that of a transformer."""
    values = values.get("text_config") or values  # of a network that also sees, the part that reads

    def first(*names: str):
        return next((values[name] for name in names if values.get(name)), None)

    hidden = first("hidden_size", "n_embd", "d_model")
    layers = first("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    if not hidden or not layers:
        raise StudyError(f"{where} names no hidden size and number of layers; expected those of a transformer")
    width = first("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "d_ff") or 4 * hidden
    gated = first("hidden_act", "activation_function") in ("silu", "gelu_pytorch_tanh")
    return ModelSize(layers, width, hidden, first("vocab_size") or 0, gated)
