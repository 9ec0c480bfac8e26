"""Models as older repositories hold them, rewritten as safetensors and tokenizer.json. No code of theirs is run."""

import zipfile
from pathlib import Path

import torch

from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import explaining
from rosetta_scaling.store.tables import write_json
from rosetta_scaling.store.tensors import write_tensors


def to_safetensors(folder: Path, names: list[str]) -> dict[str, str]:
    """Rewrite pytorch_model*.bin files of a folder and delete them; new name -> old name.

    The old ones are deleted only when all are rewritten. Raises a StudyError when a file holds anything but tensors.
    """
    new = {name.replace("pytorch_model", "model").removesuffix(".bin") + ".safetensors": name for name in names}
    places: dict[str, str] = {}
    total = 0
    for target, name in new.items():
        tensors = _read_pickle(folder / name)
        places |= dict.fromkeys(tensors, target)
        total += sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        write_tensors(folder / target, _unshared(tensors), {"format": "pt"})
    if "model.safetensors" not in new:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        write_json(folder / "model.safetensors.index.json", index)
    for name in [*names, "pytorch_model.bin.index.json"]:
        (folder / name).unlink(missing_ok=True)
    return new


def _read_pickle(path: Path) -> dict[str, torch.Tensor]:
    with explaining(
        lambda error: (
            f"{path.name} cannot be read as a table of tensors alone ({_first_line(error)}); it may hold "
            "code and was not run, take a repository or revision with model.safetensors"
        )
    ):  # files of before 2020 are no zip and cannot be mapped
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    if not isinstance(tensors, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors.values()):
        raise StudyError(
            f"{path.name} holds other things than tensors by their names; take a repository or revision with "
            "model.safetensors"
        )
    return tensors


def _unshared(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tied weights twice, because safetensors holds no views: so no name is missing, whatever the model ties."""
    seen, apart = set(), {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if storage in seen else tensor
        seen.add(storage)
    return apart


def write_tokenizer(folder: Path) -> None:
    """Write the tokenizer.json of a folder that holds a vocabulary of another kind."""
    from transformers import AutoTokenizer

    with explaining(
        lambda error: (
            f"transformers cannot make a tokenizer.json of the tokenizer in {folder} "
            f"({_first_line(error)}); install sentencepiece, or take a repository or revision with tokenizer.json"
        )
    ):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
