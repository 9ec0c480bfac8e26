"""Generators of images in folders as diffusers writes them: which folder is the network, and what lies beside it.

A pipeline is a folder of folders: the network that is read is in `transformer`; `vae` encodes images, and `scheduler`
says how much noise belongs to a step. These two may lie in the folder of the network or beside it, so a network whose
folder is named by itself finds them as well. Nothing here needs diffusers or torch.
"""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from rosetta_scaling.store.errors import StudyError

PIPELINE, CONFIG, SCHEDULER = "model_index.json", "config.json", "scheduler_config.json"
# What config.json calls them. Transformer2DModel is the name that DiT had before it had a class of its own.
READ = ("DiTTransformer2DModel", "Transformer2DModel")
ENCODER = "AutoencoderKL"
COLOURS = 3
# Why others are not, by how their names begin.
REASONS = {
    "Sana": "which reads a text beside the image, and has its gate behind a convolution",
    "Flux": "which reads a text beside the image, and has blocks whose MLP and attention are one linear map",
    "UNet": "a U-Net, which has no stack of blocks that are as wide as each other",
}
SIZES = (
    *("in_channels", "sample_size", "patch_size", "num_layers", "num_attention_heads", "attention_head_dim"),
    "num_embeds_ada_norm",
)


@dataclass(frozen=True)
class GeneratorFolder:
    """A network of diffusers that is read, by its files."""

    folder: Path
    values: dict  # of its config.json
    vae: Path | None  # the folder of what encodes images; None for a network that sees pixels
    factor: int  # pixels along a side for every place of what the network sees
    scheduler: Path  # a file

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
    def is_gated(self) -> bool:
        return self.values.get("activation_fn") in ("geglu", "swiglu")


def generator_at(folder: str | Path) -> GeneratorFolder | None:
    """The generator in a folder: in `transformer` where that is a whole pipeline. None for other networks.

    Raises StudyError for a network of diffusers that is not read, and where something is missing that it needs.
    """
    folder = network_folder(folder)
    values = _values(folder / CONFIG)
    if "_class_name" not in values:
        return None
    _require_read(folder, values)
    vae, scheduler = _beside(folder, f"vae/{CONFIG}"), _beside(folder, f"scheduler/{SCHEDULER}")
    if scheduler is None:
        raise StudyError(
            f"model folder {folder} is a {values['_class_name']} without scheduler/{SCHEDULER} in it or beside it, "
            "which says how much noise belongs to a step; expected a pipeline as diffusers writes it: name its folder, "
            "or put that file there"
        )
    if vae is None and values["in_channels"] != COLOURS:
        raise StudyError(
            f"model folder {folder} is a {values['_class_name']} that reads {values['in_channels']} channels, and "
            f"there is no vae/{CONFIG} in it or beside it to make them of an image; expected a pipeline as diffusers "
            "writes it: name its folder"
        )
    return GeneratorFolder(folder, values, vae and vae.parent, _factor(vae, values["in_channels"]), scheduler)


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
            f"{', '.join(parts) or 'no networks'}); expected one whose generator is a {READ[0]}: choose another network"
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


def _require_read(folder: Path, values: dict) -> None:
    """Raise StudyError for a kind of network that is not read, for wrong sizes, and where diffusers is missing."""
    kind, norm = values["_class_name"], values.get("norm_type")
    if kind not in READ or norm != "ada_norm_zero":
        reason = next((f", {why}" for name, why in REASONS.items() if str(kind).startswith(name)), "")
        raise StudyError(
            f"model folder {folder} is a {kind} of diffusers{reason}; expected a {READ[0]}, which is told a class and "
            "a step and nothing else: choose another network"
        )
    for name in SIZES:
        if not isinstance(values.get(name), int) or values[name] < 1:
            raise StudyError(
                f"{folder / CONFIG} gives {values.get(name)!r} as {name}, a whole number from 1 on was expected: "
                "correct it"
            )
    if importlib.util.find_spec("diffusers") is None:
        raise StudyError(
            f"model folder {folder} is a {kind}, which the package diffusers loads; it is not installed: run "
            ".venv/bin/pip install 'diffusers>=0.42', then the same command again"
        )


def _factor(vae: Path | None, channels: int) -> int:
    """Pixels along a side for every place that the network sees. Raises StudyError for what encodes in another way."""
    if vae is None:
        return 1
    values = _values(vae)
    kind, latent, blocks = (values.get(name) for name in ("_class_name", "latent_channels", "block_out_channels"))
    if kind != ENCODER or latent != channels or not isinstance(blocks, list):
        raise StudyError(
            f"{vae} names the class {kind} with {latent} latent channels; expected an {ENCODER} with the {channels} "
            "that the transformer reads: take both from one pipeline"
        )
    return 2 ** (len(blocks) - 1)
