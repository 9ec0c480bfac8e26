"""Load networks from `save_pretrained` folders. No remote code is executed, no pickle is read."""

import copy
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import torch

from rosetta_scaling.config.networks import Networks
from rosetta_scaling.networks.completeness import require_whole
from rosetta_scaling.networks.diffusion import load_generator, untrained_generator, write_untrained_generator
from rosetta_scaling.networks.folders import NEEDED, model_files, weight_files
from rosetta_scaling.networks.generators import generator_at
from rosetta_scaling.networks.norms import settle_norms
from rosetta_scaling.networks.preprocessing import read_preprocessing
from rosetta_scaling.networks.self_check import check_neurons
from rosetta_scaling.networks.towers import config_to_read, model_class, with_positions
from rosetta_scaling.numerics.seeds import torch_seed
from rosetta_scaling.store.atomic import atomic
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import reading_network, reads_network
from rosetta_scaling.store.tables import write_json

UNREAD = ("pooler.",)  # heads of encoders that some checkpoints lack, and that are not read


@reads_network
def load_model(
    folder: str | Path,
    device: torch.device,
    networks: Networks | None = None,
    device_map: dict | str | None = None,
    *,
    modality: str = "text",
    noise_level: float = 0.0,
) -> torch.nn.Module:
    """A network, ready to be read: a causal language model, or an encoder without its head; of images, its `modality`
    "image", the tower that sees, with the attribute `preprocessing` (see preprocessing.py). `noise_level` is the share
    of noise in the images that a generator of diffusers reads (see diffusion.py).

    What will be read is checked (see self_check.py). A network that does not fit the GPU, or the memory that `networks`
    allows, is spread over all GPUs, the memory of the machine, and its disk; `device_map` (of the accelerate library)
    overrides that choice.
    """
    from transformers import AutoConfig

    networks = networks or Networks.model_validate({})
    files = [Path(file) for file in model_files(folder, modality)]
    generator = generator_at(folder) if modality == "image" else None
    if generator:  # its text encoder stays on the processor
        files = weight_files(generator.folder)
    device_map = device_map or spread(sum(file.stat().st_size for file in files), device, networks)
    if generator:
        _require_on_one_device(folder, device_map)
        return load_generator(generator, device, networks.dtype, noise_level=noise_level)
    limit = memory_limit(device, networks) if device_map == "auto" else None
    offload = tempfile.TemporaryDirectory(prefix="rosetta-offload-") if limit else None
    config = config_to_read(AutoConfig.from_pretrained(folder, trust_remote_code=False), modality)
    model, loaded = model_class(config).from_pretrained(
        folder,
        config=config,
        trust_remote_code=False,
        dtype=getattr(torch, networks.dtype),
        use_safetensors=True,
        output_loading_info=True,
        device_map=device_map,
        max_memory=limit,
        offload_folder=offload.name if offload else None,
    )
    # transformers fills missing weights with random numbers; what is measured then would be noise.
    absent = [name for name in sorted(loaded["missing_keys"]) if not name.startswith(UNREAD)]
    absent = [name for name in absent if not _is_calculated(model, name)]
    require_whole(folder, model, loaded | {"missing_keys": absent})
    model = model.eval() if device_map else model.to(device).eval()
    if offload:
        weakref.finalize(model, offload.cleanup)  # it lives as long as the network
    if modality == "image":
        model.preprocessing = read_preprocessing(folder)
    with reading_network(folder, f"a {type(model).__name__} cannot be read here: take a network of text or of images"):
        check_neurons(model)
    return model


def _require_on_one_device(folder: str | Path, device_map: dict | str | None) -> None:
    if device_map:
        raise StudyError(
            f"model folder {folder} fills more than half of the GPU, or more than networks.memory_gb, and generators "
            "of diffusers are not spread over devices; take a larger GPU, networks.dtype: bfloat16, or a larger limit"
        )


def _is_calculated(model: torch.nn.Module, name: str) -> bool:
    """Whether a weight is a formula, so that checkpoints need not hold it: the sines of Marian's positions."""
    path, _, attribute = name.rpartition(".")
    network: Any = model
    module: Any = model.get_submodule(path)
    held = getattr(module, attribute)
    if held.is_meta or held.min() == held.max():  # what is lost may be constant at first, too: gains and biases
        return False
    for before in (0.0, 1.0):
        fresh = copy.deepcopy(module)
        fresh._is_hf_initialized = False
        setattr(fresh, attribute, torch.nn.Parameter(torch.full_like(held, before), requires_grad=False))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(before))
            network._init_weights(fresh)
        if not getattr(fresh, attribute).equal(held):
            return False
    return True


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


@reads_network
def untrained_model(
    folder: str | Path,
    seed: object,
    device: torch.device,
    networks: Networks | None = None,
    *,
    modality: str = "text",
    noise_level: float = 0.0,
) -> torch.nn.Module:
    """The same architecture with a fresh initialisation of its own kind; `seed` is any JSON-like value.

    Where it has batch norms, these have seen drawn images: see norms.py.
    """
    from transformers import AutoConfig

    dtype = (networks or Networks.model_validate({})).dtype
    if modality == "image" and (generator := generator_at(folder)):
        return untrained_generator(generator, seed, device, dtype, noise_level=noise_level)
    config = config_to_read(AutoConfig.from_pretrained(folder, trust_remote_code=False), modality)
    torch.manual_seed(torch_seed(seed))
    # Always drawn in float32, since another precision would draw other weights.
    model = model_class(config).from_config(config, dtype=torch.float32)
    if modality == "image":
        model = with_positions(model)
        model.preprocessing = read_preprocessing(folder)
        settle_norms(model.eval())
    return model.to(device, getattr(torch, dtype)).eval()


def write_untrained(original: str | Path, seed: int, folder: str | Path, modality: str = "text") -> None:
    """Write a freshly initialised network with the architecture of another, and what prepares its inputs, as a folder
    of its own.
    """
    generator = generator_at(original) if modality == "image" else None
    with atomic(folder) as part:
        if generator:
            write_untrained_generator(generator, seed, part)
        else:
            untrained_model(original, seed, torch.device("cpu"), modality=modality).save_pretrained(part)
            for name in (*NEEDED[modality][1:], "tokenizer_config.json"):
                if (Path(original) / name).is_file():
                    shutil.copy(Path(original) / name, part / name)
        write_json(part / "manifest.json", {"source": "untrained", "of": str(original), "seed": seed})
