"""Sizes of networks from what their configuration says, without building them."""

import copy
import functools
import json
from dataclasses import dataclass
from pathlib import Path

import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.study import Family, Size
from rosetta_scaling.store.errors import StudyError

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


def folder_size(folder: str | Path) -> ModelSize:
    """The network of a `save_pretrained` folder, by its config.json."""
    path = Path(folder) / "config.json"
    return config_size(json.loads(path.read_text()), str(path))


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
    return transformer_size(layers, width, hidden, first("vocab_size") or 0, gated=gated)
