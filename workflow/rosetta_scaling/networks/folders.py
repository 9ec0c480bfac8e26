"""What a folder of a network must hold."""

from pathlib import Path

from rosetta_scaling.networks.generators import CONFIG, GeneratorFolder, generator_at, is_of_diffusers, network_folder
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json

# What a network needs beside its weights, by what it reads: its configuration, then what prepares its inputs.
NEEDED = {"text": ("config.json", "tokenizer.json"), "image": ("config.json", "preprocessor_config.json")}
PREPARES = {"text": "tokenizer", "image": "image processor"}
WEIGHTS, ADAPTER = "model.safetensors", "adapter_config.json"
OF_DIFFUSERS = "diffusion_pytorch_model.safetensors"  # what diffusers calls its weights


def weight_files(folder: str | Path) -> list[Path]:
    """The safetensors files that transformers loads: model.safetensors, or else the shards that its index names.

    Of a network of diffusers, or a pipeline, those of the network that is read. Others may lie beside them: adapters,
    and the same weights in another format or precision.
    """
    folder = network_folder(folder)
    name = OF_DIFFUSERS if is_of_diffusers(folder) else WEIGHTS
    whole, index = folder / name, folder / f"{name}.index.json"
    if whole.is_file() or not index.is_file():
        return [whole] if whole.is_file() else []
    try:
        names = read_json(index)["weight_map"].values()
        return [folder / name for name in sorted(set(names))]
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            f"{index} names no files; expected an index as save_pretrained writes it: write or download it again"
        ) from error


def model_files(folder: str | Path, modality: str = "text") -> list[str]:
    """The files of a `save_pretrained` folder that decide what is measured. Raises StudyError when one is missing."""
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"model folder {folder} does not exist; correct the path in families.*.models")
    if modality == "image" and (generator := generator_at(folder)):
        return _generator_files(generator)
    weights = weight_files(folder)
    if (folder / ADAPTER).is_file():
        beside = " beside whole weights, and only one of them can be meant" if weights else ", no whole network"
        raise StudyError(
            f"model folder {folder} holds an adapter ({ADAPTER}){beside}; merge it into its base model, save that with "
            f"save_pretrained and name its folder{', or move the files of the adapter elsewhere' if weights else ''}"
        )
    missing = [name for name in NEEDED[modality] if not (folder / name).is_file()]
    pickled = sorted(file.name for file in folder.glob("pytorch_model*.bin"))
    if not weights and pickled and not missing:
        raise StudyError(
            f"model folder {folder} holds its weights in {pickled[0]} only, a pickle that can run code and is not "
            "read; load the network once and save it with save_pretrained, or take a repository with model.safetensors"
        )
    missing += [file.name for file in weights if not file.is_file()]
    if missing := missing + ([] if weights else [f"{WEIGHTS} (weights)"]):
        raise StudyError(
            f"model folder {folder} lacks {', '.join(missing)}; expected a folder written by save_pretrained "
            f"for model and {PREPARES[modality]}"
        )
    return [str(file) for file in (*(folder / name for name in NEEDED[modality]), *weights)]


def _generator_files(generator: GeneratorFolder) -> list[str]:
    """The files of a generator that decide what is measured, those of what encodes its images included."""
    files = [generator.folder / CONFIG, generator.scheduler]
    files += [path for path in [generator.folder / NEEDED["image"][1]] if path.is_file()]
    for folder in filter(None, (generator.folder, generator.vae)):
        weights = weight_files(folder)
        missing = [file.name for file in weights if not file.is_file()] or ([] if weights else [OF_DIFFUSERS])
        if missing:
            pickled = next((f" and holds {file.name}, a pickle that can run code" for file in folder.glob("*.bin")), "")
            raise StudyError(
                f"model folder {folder} lacks {', '.join(missing)} (weights){pickled}; expected a folder as diffusers "
                "writes it: load the network once and save it with save_pretrained, or download it again"
            )
        files += weights if folder == generator.folder else [folder / CONFIG, *weights]
    if generator.text_encoder is not None:
        weights = weight_files(generator.text_encoder)
        if not weights or not all(file.is_file() for file in weights):
            raise StudyError(
                f"model folder {generator.text_encoder} lacks {WEIGHTS} (weights); expected a whole text encoder "
                "beside the transformer: download the pipeline again"
            )
        files += [generator.text_encoder / CONFIG, *weights]
    return list(map(str, files))
