"""What a repository of the Hugging Face hub holds, and which of its files a study needs."""

import json
import os
import re
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import HfApi, constants, is_offline_mode, try_to_load_from_cache
from huggingface_hub.errors import OfflineModeIsEnabled

from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.tables import read_json

# What transformers loads, in its order. Other weights are the same ones in another format or precision.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
VOCABULARIES = ("vocab.json", "vocab.txt", "*.model")  # from which a tokenizer.json can be made
NEEDED = (
    *("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "merges.txt", *VOCABULARIES),
)


class File(NamedTuple):
    """A file of a repository. Its digest is the sha256 (64 digits) of a large one, git's sha1 (40) of another."""

    name: str
    size: int
    digest: str


class Listing(NamedTuple):
    """The files at the root of a repository by their names, at one commit."""

    commit: str
    files: dict[str, File]
    endpoint: str | None  # None when all is in the cache of huggingface_hub
    licence: str | list | None


def list_files(repository: str, revision: str) -> Listing:
    """Ask the hub, or offline the cache of huggingface_hub. Raises what that library raises."""
    if is_offline_mode():
        return _list_cached(repository, revision)
    api = HfApi(constants.ENDPOINT)
    try:
        info = api.model_info(
            repository, revision=revision, files_metadata=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        )
        if info.sha is None or info.siblings is None:
            raise TypeError("something is missing")
        files = [_file(sibling) for sibling in info.siblings if "/" not in sibling.rfilename]
        if not (re.fullmatch("[0-9a-f]{40}", info.sha) and all(file.size >= 0 and file.digest for file in files)):
            raise TypeError("something is missing")
        licence = info.card_data.license if info.card_data else None
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise StudyError(
            f"{constants.ENDPOINT} answers about {repository}, but does not tell the commit and the size and digest of "
            "every file as the hub does; set HF_ENDPOINT to the hub or to a mirror that does"
        ) from error
    return Listing(info.sha, {file.name: file for file in files}, constants.ENDPOINT, licence)


def _file(sibling) -> File:
    if sibling.lfs:
        return File(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
    return File(sibling.rfilename, sibling.size, sibling.blob_id)


def _list_cached(repository: str, revision: str) -> Listing:
    """The cache names every file by its digest, and links to it from a folder that is named by the commit."""
    config = try_to_load_from_cache(repository, "config.json", revision=revision)
    if not isinstance(config, str):
        raise OfflineModeIsEnabled
    links = [path for path in Path(config).parent.iterdir() if path.is_symlink() and path.exists()]
    files = {link.name: File(link.name, link.stat().st_size, Path(os.readlink(link)).name) for link in links}
    return Listing(Path(config).parent.name, files, None, None)


def choose(repository: str, names: Collection[str]) -> tuple[list[str], str]:
    """The files to fetch: those that are small, and the weights or the index of their shards."""
    needed = [name for name in names if any(fnmatch(name, pattern) for pattern in NEEDED)]
    weights = next((name for name in WEIGHTS if name in names), None)
    if "adapter_config.json" in names and not ("config.json" in names and weights):
        raise StudyError(
            f"{repository} holds an adapter of another model, but a whole model is expected; merge it into its base "
            "model, save that with save_pretrained and name the folder in families.*.models"
        )
    if "config.json" not in names and "model_index.json" in names:
        raise StudyError(
            f"{repository} is a pipeline of diffusers, whose parts are not fetched; run `hf download {repository} "
            "--local-dir FOLDER` and name that folder in a family with source: local"
        )
    if "config.json" not in names:
        raise StudyError(
            f"{repository} holds no config.json; a repository that transformers can load is expected, take another"
        )
    if not weights:
        others = ", ".join(sorted(name for name in names if name not in needed)[:5])
        raise StudyError(
            f"{repository} holds no model.safetensors or pytorch_model.bin (but {others or 'nothing like them'}); take "
            "another repository or revision"
        )
    if not {"tokenizer.json", "preprocessor_config.json"} & set(names) and not vocabularies(names):
        raise StudyError(
            f"{repository} holds no tokenizer (tokenizer.json, or one of {', '.join(VOCABULARIES)}); take another "
            "repository or revision"
        )
    return needed, weights


def vocabularies(names: Collection[str]) -> list[str]:
    return [name for name in names if any(fnmatch(name, pattern) for pattern in VOCABULARIES)]


def shards(index: Path, names: Collection[str]) -> list[str]:
    """The files that an index of weights names; they are all in the repository and of the format of the index."""
    suffix = index.name.split(".")[1]  # model.safetensors.index.json
    try:
        found = sorted(set(read_json(index)["weight_map"].values()))
    except (KeyError, TypeError, AttributeError):
        found = []
    strange = [name for name in found if name not in names or not name.endswith(f".{suffix}")]
    if strange or not found:
        raise StudyError(
            f"{index.name} names {', '.join(map(str, strange)) or 'no shards'}, but .{suffix} files of the same "
            "repository are expected; its upload is not whole, take another revision"
        )
    return found
