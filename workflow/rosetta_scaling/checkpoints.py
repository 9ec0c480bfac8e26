"""Load networks from `save_pretrained` folders, and describe them. No remote code is executed, no pickle is read."""

import logging
from pathlib import Path

import torch

from rosetta_scaling.configurations import count_parameters
from rosetta_scaling.hooks import find_down_projections, neurons_of
from rosetta_scaling.self_check import check_neurons
from rosetta_scaling.store import StudyError, digest, file_sha256, model_files, write_json

log = logging.getLogger(__name__)


def load_model(folder: str | Path, device: torch.device, device_map: dict | str | None = None) -> torch.nn.Module:
    """A causal language model in float32, ready to be read: what will be read is checked (see self_check.py).

    One that does not fit the GPU is spread over all GPUs, the memory of the machine, and its disk; `device_map` (of the
    accelerate library) says how, when it shall not be chosen.
    """
    from transformers import AutoModelForCausalLM

    files = [Path(file) for file in model_files(folder)]
    device_map = device_map or spread(sum(file.stat().st_size for file in files), device)
    try:
        model, loaded = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, device_map=device_map
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"model folder {folder} cannot be loaded ({reason}); write or download it again") from error
    # transformers fills what is missing with random numbers: here that would be a measurement of noise.
    if absent := sorted(loaded["missing_keys"]) + sorted(map(str, loaded["mismatched_keys"])):
        raise StudyError(
            f"model folder {folder} lacks {len(absent)} weights of {type(model).__name__} (first: {absent[0]}); "
            "expected a whole causal language model, saved with its head"
        )
    model = model.eval() if device_map else model.to(device).eval()
    check_neurons(model)
    return model


def spread(file_bytes: int, device: torch.device) -> str | None:
    """Whether a network must be spread: when it fills more than half of the GPU, since the matching needs the rest."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return "auto" if 2 * file_bytes > free / 2 else None  # checkpoints of large models hold 16 bits per weight


def untrained_model(folder: str | Path, seed: object, device: torch.device) -> torch.nn.Module:
    """The same architecture with a fresh initialisation of its own kind; `seed` is any JSON-like value."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder)
    torch.manual_seed(int(digest(seed), 16) % 2**63)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).to(device).eval()


def describe(model: torch.nn.Module) -> dict:
    """Sizes of a network; `neurons` is a list, one number per layer."""
    downs = find_down_projections(model)
    parameters, non_embedding = count_parameters(model)
    return {
        "architecture": model.config.model_type,
        "parameters": parameters,
        "non_embedding_parameters": non_embedding,
        "neurons": [neurons_of(down) for down in downs],
        "layers": len(downs),
        "hidden_size": model.config.hidden_size,
        "vocabulary": model.config.vocab_size,
    }


def register_local(name: str, folder: str | Path, modality: str, out_path: str | Path) -> None:
    """Write the manifest of a local folder: what it holds, by sha256."""
    files = [Path(file) for file in model_files(folder)]
    write_json(
        out_path,
        {
            "model": name,
            "source": "local",
            "modality": modality,
            "folder": str(Path(folder).resolve()),
            "sha256": {file.name: file_sha256(file) for file in files},
        },
    )
    log.info("%s: %d files in %s", name, len(files), folder)
