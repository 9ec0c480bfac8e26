"""What a folder of a network must hold."""

from pathlib import Path

from rosetta_scaling.store.errors import StudyError


def model_files(folder: str | Path) -> list[str]:
    """The files of a `save_pretrained` folder that decide what is measured; refuses an incomplete one."""
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"model folder {folder} does not exist; correct the path in families.*.models")
    weights = sorted(folder.glob("*.safetensors"))
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing := missing + ([] if weights else ["*.safetensors (weights)"]):
        raise StudyError(
            f"model folder {folder} lacks {', '.join(missing)}; expected a folder written by save_pretrained "
            "for model and tokenizer"
        )
    return [str(file) for file in (folder / "config.json", folder / "tokenizer.json", *weights)]
