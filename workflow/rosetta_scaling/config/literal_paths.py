"""Paths that Snakemake reads as they stand: to it, {x} in a path is a wildcard and <x> is a variable."""

import os

from rosetta_scaling.store.errors import StudyError

READ_AS_NAMES = "{}<>"


def require_literal(key: str, path: str, characters: str = READ_AS_NAMES) -> None:
    """Refuse a path with characters that Snakemake reads as the beginning or end of a name; `key` says whose path."""
    if found := sorted(set(path) & set(characters)):
        raise StudyError(
            f"{key} is {path!r}, but Snakemake does not read {' '.join(found)} in a path as they stand; rename it, or "
            "name a symbolic link to it instead (ln -s)"
        )


def cache_folder(cache_dir: str) -> str:
    """The folder of the cache, spelled as Snakemake compares paths: without `./`, `//` and a slash at the end."""
    folder = os.path.normpath(cache_dir)
    if folder == ".":
        raise StudyError(
            f"cache_dir is {cache_dir!r}, the working folder itself; name a folder in it, such as results/cache"
        )
    require_literal("cache_dir", folder)
    return folder
