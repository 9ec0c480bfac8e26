"""Load networks from `save_pretrained` folders, and describe them. No remote code is executed, no pickle is read."""

import os
import shutil
import tempfile
from pathlib import Path

import torch

from rosetta_scaling.config.study import Networks
from rosetta_scaling.networks.folders import model_files
from rosetta_scaling.networks.self_check import check_neurons
from rosetta_scaling.networks.sizes import model_class
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.digests import digest
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import write_json

UNREAD = ("pooler.",)  # heads of encoders that some checkpoints lack and nobody reads


def load_model(
    folder: str | Path, device: torch.device, networks: Networks | None = None, device_map: dict | str | None = None
) -> torch.nn.Module:
    """A network, ready to be read: a causal language model, or an encoder without its head.

    What will be read is checked (see self_check.py). A network that does not fit the GPU, or the memory that `networks`
    allows, is spread over all GPUs, the memory of the machine, and its disk; `device_map` (of the accelerate library)
    says how, when it shall not be chosen.
    """
    from transformers import AutoConfig

    networks = networks or Networks()
    files = [Path(file) for file in model_files(folder)]
    device_map = device_map or spread(sum(file.stat().st_size for file in files), device, networks)
    limit = memory_limit(device, networks) if device_map == "auto" else None
    offload = tempfile.TemporaryDirectory(prefix="rosetta-offload-") if limit else None
    try:
        model, loaded = model_class(AutoConfig.from_pretrained(folder, trust_remote_code=False)).from_pretrained(
            folder,
            trust_remote_code=False,
            dtype=getattr(torch, networks.dtype),
            use_safetensors=True,
            output_loading_info=True,
            device_map=device_map,
            max_memory=limit,
            offload_folder=offload.name if offload else None,
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"model folder {folder} cannot be loaded ({reason}); write or download it again") from error
    # transformers fills what is missing with random numbers: here that would be a measurement of noise.
    absent = [name for name in sorted(loaded["missing_keys"]) if not name.startswith(UNREAD)]
    if absent := absent + sorted(map(str, loaded["mismatched_keys"])):
        raise StudyError(
            f"model folder {folder} lacks {len(absent)} weights of {type(model).__name__} (first: {absent[0]}); "
            "expected a whole network, a causal language model with its head"
        )
    model = model.eval() if device_map else model.to(device).eval()
    model.offload_folder = offload  # lives as long as the model, and is deleted with it
    check_neurons(model)
    return model


def spread(file_bytes: int, device: torch.device, networks: Networks) -> str | None:
    """Whether a network must be spread: when it fills more than half of the GPU, since the matching needs the rest.

    Or when it takes more than `networks.memory_gb`.
    """
    need = 2 * file_bytes if networks.dtype == "float32" else file_bytes  # large checkpoints hold 16 bits per weight
    if networks.memory_gb is not None:
        return "auto" if need > networks.memory_gb * 1e9 else None
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return "auto" if need > free / 2 else None


def memory_limit(device: torch.device, networks: Networks) -> dict | None:
    """What accelerate may fill; the rest goes to the memory of the machine, and from there to disk."""
    if networks.memory_gb is None:
        return None
    allowed = int(networks.memory_gb * 1e9)
    if device.type == "cpu":
        return {"cpu": allowed}
    return {device.index or 0: allowed, "cpu": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") // 2}


def untrained_model(
    folder: str | Path, seed: object, device: torch.device, networks: Networks | None = None
) -> torch.nn.Module:
    """The same architecture with a fresh initialisation of its own kind; `seed` is any JSON-like value."""
    from transformers import AutoConfig

    config, dtype = AutoConfig.from_pretrained(folder, trust_remote_code=False), (networks or Networks()).dtype
    torch.manual_seed(int(digest(seed), 16) % 2**63)
    # Drawn in float32 whatever they are read in: the draws of another precision would be other ones.
    model = model_class(config).from_config(config, dtype=torch.float32)
    return model.to(device, getattr(torch, dtype)).eval()


def write_untrained(original: str | Path, seed: int, folder: str | Path) -> None:
    """Write a freshly initialised network with the architecture and the tokenizer of another as a folder of its own."""
    model = untrained_model(original, seed, torch.device("cpu"))
    with atomic(folder) as part:
        model.save_pretrained(part)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (Path(original) / name).is_file():
                shutil.copy(Path(original) / name, part / name)
        write_json(part / "manifest.json", {"source": "untrained", "of": str(original), "seed": seed})
