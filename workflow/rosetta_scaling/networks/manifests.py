"""What is recorded of a network: where it is from, its files, its sizes."""

import logging
from pathlib import Path

import torch

from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.mlps import find_down_projections, neurons_of
from rosetta_scaling.networks.sizes import count_parameters
from rosetta_scaling.networks.towers import architecture, config_of
from rosetta_scaling.store.digests import file_sha256, require_unchanged
from rosetta_scaling.store.tables import read_json, write_json

log = logging.getLogger(__name__)


def describe(model: torch.nn.Module) -> dict:
    """Sizes of a network of text, or of the part of it that is read; `neurons` is a list, one number per layer."""
    downs, config = find_down_projections(model), config_of(model)
    parameters, non_embedding = count_parameters(model)
    return {
        "architecture": architecture(model),
        "parameters": parameters,
        "non_embedding_parameters": non_embedding,
        "neurons": [neurons_of(down) for down in downs],
        "layers": len(downs),
        "hidden_size": config.hidden_size,
        "vocabulary": config.vocab_size,
    }


def register(name: str, source: str, folder: str | Path, modality: str, out_path: str | Path) -> None:
    """Write the manifest of a network that was not trained here: where it is from, and its files by sha256."""
    files, manifest = [Path(file) for file in model_files(folder, modality)], Path(folder) / "manifest.json"
    origin = read_json(manifest) if source != "local" else {}
    written = {name: file["sha256"] for name, file in origin.get("files", {}).items()} | origin.get("sha256", {})
    require_unchanged(folder, written)
    write_json(
        out_path,
        {
            "model": name,
            "source": source,
            "modality": modality,
            "folder": str(Path(folder).resolve()),
            "sha256": {file.name: file_sha256(file) for file in files},
            "origin": {key: value for key, value in origin.items() if key not in ("files", "converted")},
        },
    )
    log.info("%s: %d files in %s", name, len(files), folder)
