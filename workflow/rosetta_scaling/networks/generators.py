"""Generators of images in folders as diffusers writes them: which folder is the network, and what lies beside it.

A pipeline is a folder of folders: the network that is read is in `transformer`; `vae` encodes images, `text_encoder`
texts, and `scheduler` says how much noise belongs to a step. These may lie in the folder of the network or beside it,
so a network whose folder is named by itself finds them as well. Nothing here needs diffusers or torch.
"""

import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path

from rosetta_scaling.store.errors import StudyError

PIPELINE, CONFIG, SCHEDULER = "model_index.json", "config.json", "scheduler_config.json"
DIT, SANA = "DiTTransformer2DModel", "SanaTransformer2DModel"
# What config.json calls them. Transformer2DModel is the name that DiT had before it had a class of its own.
READ = {DIT: DIT, "Transformer2DModel": DIT, SANA: SANA}
# What encodes images, and which part of its configuration has an entry for every size of its maps.
ENCODERS = {"AutoencoderKL": "block_out_channels", "AutoencoderDC": "encoder_block_out_channels"}
COLOURS = 3
# Why others are not, by how their names begin.
REASONS = {
    "Flux": "whose blocks make attention and MLP with one linear map",
    "UNet": "a U-Net, which has no stack of blocks that are as wide as each other",
}
SIZES = ("in_channels", "sample_size", "patch_size", "num_layers", "num_attention_heads", "attention_head_dim")


@dataclass(frozen=True)
class GeneratorFolder:
    """A network of diffusers that is read, by its files."""

    folder: Path
    values: dict  # of its config.json
    kind: str  # the class that loads it
    vae: Path | None  # the folder of what encodes images; None for a network that sees pixels
    factor: int  # pixels along a side for every place of what the network sees
    scheduler: Path  # a file
    text_encoder: Path | None  # a folder; None for a network that reads no text

    @property
    def side(self) -> int:
        """Pixels along a side of the images that the network was made for."""
        return self.values["sample_size"] * self.factor

    @property
    def patch(self) -> int:
        """Pixels along a side of a patch."""
        return self.values["patch_size"] * self.factor

    @property
    def hidden(self) -> int:
        return self.values["num_attention_heads"] * self.values["attention_head_dim"]

    @property
    def width(self) -> int:
        """Neurons of a layer."""
        return int((self.values.get("mlp_ratio", 2.5) if self.kind == SANA else 4) * self.hidden)

    @property
    def is_gated(self) -> bool:
        return self.kind == SANA or self.values.get("activation_fn") in ("geglu", "swiglu")


def generator_at(folder: str | Path) -> GeneratorFolder | None:
    """The generator in a folder: in `transformer` where that is a whole pipeline. None for other networks.

    Raises StudyError for a network of diffusers that is not read, and where something is missing that it needs.
    """
    folder = network_folder(folder)
    values = _values(folder / CONFIG)
    if "_class_name" not in values:
        return None
    _require_read(folder, values)
    kind, channels = READ[values["_class_name"]], values["in_channels"]
    scheduler = _required(folder, f"scheduler/{SCHEDULER}", "says how much noise belongs to a step")
    text = _required(folder, f"text_encoder/{CONFIG}", "encodes the empty text") if kind == SANA else None
    vae = _beside(folder, f"vae/{CONFIG}")
    if channels != COLOURS:
        vae = _required(folder, f"vae/{CONFIG}", f"makes {channels} channels of an image")
    factor = _factor(vae, channels) if vae else 1
    return GeneratorFolder(folder, values, kind, vae and vae.parent, factor, scheduler, text and text.parent)


def network_folder(folder: str | Path) -> Path:
    """The folder of the weights: `transformer` of a pipeline of diffusers, any other folder itself.

    Raises StudyError for a pipeline that has no transformer.
    """
    folder = Path(folder)
    if (folder / CONFIG).is_file() or not (folder / PIPELINE).is_file():
        return folder
    if not (folder / "transformer" / CONFIG).is_file():
        parts = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
        raise StudyError(
            f"model folder {folder} is a pipeline of diffusers without a transformer (it has "
            f"{', '.join(parts) or 'no networks'}); expected one whose generator is a {DIT} or a {SANA}: choose "
            "another network"
        )
    return folder / "transformer"


def is_of_diffusers(folder: str | Path) -> bool:
    """Whether a folder is a pipeline or a network of diffusers, whatever kind it is."""
    return (Path(folder) / PIPELINE).is_file() or "_class_name" in _values(Path(folder) / CONFIG)


def _values(path: Path) -> dict:
    """What a configuration says; nothing where there is none, which whoever loads the network explains."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _beside(folder: Path, name: str) -> Path | None:
    """A file in a folder, or else in the one around it; there, where the folder really is if it is a link."""
    return next((path for path in (folder / name, folder.resolve().parent / name) if path.is_file()), None)


def _required(folder: Path, name: str, purpose: str) -> Path:
    """A file that is needed for a purpose. Raises StudyError where it is missing."""
    if path := _beside(folder, name):
        return path
    raise StudyError(
        f"model folder {folder} is a generator without {name} in it or beside it, which {purpose}; expected a pipeline "
        "as diffusers writes it: name its folder, or put what is missing there"
    )


def _require_read(folder: Path, values: dict) -> None:
    """Raise StudyError for a kind of network that is not read, for wrong sizes, and where diffusers is missing."""
    kind = str(values["_class_name"])
    is_dit = READ.get(kind) == DIT
    if kind not in READ or values.get("norm_type", "ada_norm_zero") != "ada_norm_zero" or values.get("guidance_embeds"):
        reason = next((f", {why}" for name, why in REASONS.items() if str(kind).startswith(name)), "")
        raise StudyError(
            f"model folder {folder} is a {kind} of diffusers{reason}; expected a {DIT} that is told a class and a "
            f"step, or a {SANA} that is told a text and a step: choose another network"
        )
    for name in (*SIZES, *(["num_embeds_ada_norm"] if is_dit else [])):
        if not isinstance(values.get(name), int) or values[name] < 1:
            raise StudyError(
                f"{folder / CONFIG} gives {values.get(name)!r} as {name}, a whole number from 1 on was expected: "
                "correct it"
            )
    if not isinstance(ratio := values.get("mlp_ratio", 2.5), int | float) or ratio <= 0:
        raise StudyError(f"{folder / CONFIG} gives {ratio!r} as mlp_ratio, a positive number was expected: correct it")
    if importlib.util.find_spec("diffusers") is None:
        raise StudyError(
            f"model folder {folder} is a {kind}, which the package diffusers loads; it is not installed: run "
            ".venv/bin/pip install 'diffusers>=0.42', then the same command again"
        )


def _factor(vae: Path, channels: int) -> int:
    """Pixels along a side for every place that the network sees. Raises StudyError for what encodes in another way."""
    values = _values(vae)
    kind, latent = values.get("_class_name"), values.get("latent_channels")
    blocks = values.get(ENCODERS.get(str(kind), ""))
    if latent != channels or not isinstance(blocks, list):
        raise StudyError(
            f"{vae} names the class {kind} with {latent} latent channels; expected an {' or '.join(ENCODERS)} with the "
            f"{channels} that the transformer reads: take both from one pipeline"
        )
    return 2 ** (len(blocks) - 1)


@dataclass(frozen=True)
class GeneratorConfig:
    """The configuration of a generator in the words of transformers; lengths are in pixels."""

    model_type: str
    hidden_size: int
    num_hidden_layers: int
    image_size: int
    patch_size: int
    num_channels: int = COLOURS
    is_encoder_decoder: bool = False
    sub_configs: dict = field(default_factory=dict)

    def get_text_config(self) -> "GeneratorConfig":
        return self
