"""What is recorded of a network: where it is from, its files, its sizes."""

import logging
import os
from pathlib import Path

import torch

from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.generators import generator_at
from rosetta_scaling.networks.sizes import size_of_model
from rosetta_scaling.networks.towers import architecture
from rosetta_scaling.store.digests import file_sha256, require_unchanged
from rosetta_scaling.store.tables import read_json, write_json

log = logging.getLogger(__name__)


def describe(model: torch.nn.Module) -> dict:
    """What is recorded of the sizes of a network, or of the part of it that is read; `neurons` is one per layer."""
    size = size_of_model(model)
    return {
        "architecture": architecture(model),
        "parameters": size.parameters,
        "non_embedding_parameters": size.non_embedding_parameters,
        "neurons": list(size.widths),
        "layers": size.layers,
        "hidden_size": size.hidden,
        "vocabulary": size.vocabulary,
    }


def register(
    name: str, source: str, folder: str | Path, modality: str, *, out_path: str | Path, noise_level: float | None = None
) -> None:
    """Write the manifest of a network that was not trained here: where it is from, and its files by sha256, named from
    its folder on.

    That of a generator of diffusers holds `noise_level`, too: all that is measured on it depends on that.
    """
    files, manifest = [Path(file) for file in model_files(folder, modality)], Path(folder) / "manifest.json"
    origin = read_json(manifest) if source != "local" else {}
    written = {name: file["sha256"] for name, file in origin.get("files", {}).items()} | origin.get("sha256", {})
    require_unchanged(folder, written)
    seen = {"noise_level": noise_level} if modality == "image" and generator_at(folder) else {}
    write_json(
        out_path,
        {
            "model": name,
            "source": source,
            "modality": modality,
            "folder": str(Path(folder).resolve()),
            "sha256": {_name(file, Path(folder)): file_sha256(file) for file in files},
            "origin": {key: value for key, value in origin.items() if key not in ("files", "converted")},
            **seen,
        },
    )
    log.info("%s: %d files in %s", name, len(files), folder)


def _name(file: Path, folder: Path) -> str:
    """How a file is reached from a folder, also where it lies beside that."""
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else os.path.relpath(file, folder.resolve())
