"""Images of the user: a folder with a subfolder per class, idx files, or a data set of the Hugging Face hub.

Every reader yields `Picture`s: the files as they are, or PNG where there is none.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from rosetta_scaling.corpora.lines import unreadable
from rosetta_scaling.corpora.pixels import encode
from rosetta_scaling.corpora.procedural import procedural_images
from rosetta_scaling.corpora.readers import check_revision, kind_of, text_files
from rosetta_scaling.store.errors import StudyError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
IDX_IMAGES, IDX_LABELS = 0x803, 0x801  # what idx files of bytes begin with: three dimensions, one dimension


class Picture(NamedTuple):
    """One image: its class, where it is from, its file, and as JSON what it was drawn with, if that is known."""

    domain: str
    source: str
    data: bytes
    objects: str = "[]"


def pictures(corpus: SimpleNamespace, images: SimpleNamespace) -> Iterator[Picture]:
    """All images of the configured source; `corpus` and `images` are sections of settings."""
    match corpus.kind:
        case "procedural":
            drawn = procedural_images(images.size, images.objects, images.per_class, corpus.seed)
            for i, (label, pixels, objects) in enumerate(drawn):
                yield Picture(label, f"procedural:{i}", encode(pixels), objects)
        case "folder":
            yield from folder_pictures(Path(str(corpus.path)))
        case "idx":
            yield from idx_pictures(Path(str(corpus.path)))
        case "huggingface":
            yield from hub_pictures(corpus, images)


def image_files(root: Path) -> list[tuple[str, Path]]:
    """(path below root with forward slashes, file) of the images in the subfolders of a folder, sorted."""
    return [(name, path) for name, path in text_files(root) if name.lower().endswith(SUFFIXES)]


def folder_pictures(root: Path) -> Iterator[Picture]:
    """A file is an image, and the first folder on its way is its class."""
    files = image_files(root)
    for name, path in files:
        parts = PurePosixPath(name).parts
        if len(parts) == 1:
            raise StudyError(
                f"corpus: {name} lies directly in {root}, a subfolder per class was expected; move it into that of its "
                "class."
            )
        try:
            yield Picture(parts[0], name, path.read_bytes())
        except OSError as error:
            raise unreadable(path, error) from error


def idx_files(root: Path) -> list[tuple[Path, Path]]:
    """Files of images and of their labels, named as those of MNIST are: train-images-idx3-ubyte.gz and so on."""
    images = sorted(path for path in root.glob("*images*idx3*") if path.is_file()) if root.is_dir() else []
    pairs = [(path, path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))) for path in images]
    if not pairs or (missing := [labels for _, labels in pairs if not labels.is_file()]):
        wanted = missing[0] if pairs else f"{root}/train-images-idx3-ubyte.gz"
        raise StudyError(
            f"corpus: there is no {wanted}, files of images and of their labels in the format of MNIST were expected; "
            "correct corpus.path."
        )
    return pairs


def idx_pictures(root: Path) -> Iterator[Picture]:
    """The images of idx files; their labels, as numbers, are the classes."""
    for images, labels in idx_files(root):
        pixels, codes = read_idx(images, IDX_IMAGES), read_idx(labels, IDX_LABELS)
        if len(pixels) != len(codes):
            raise StudyError(
                f"corpus: {images} holds {len(pixels):,} images and {labels.name} {len(codes):,} labels, as many were "
                "expected; fetch both again."
            )
        for i, (grey, code) in enumerate(zip(pixels, codes, strict=True)):
            yield Picture(str(code), f"{images.name}:{i}", encode(np.repeat(grey[..., None], 3, 2)))


def read_idx(path: Path, magic: int) -> np.ndarray:
    """The array of bytes in an idx file, which may be compressed."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError) as error:
        raise unreadable(path, OSError(str(error))) from error
    dimensions = magic & 0xFF
    header = np.frombuffer(data[: 4 + 4 * dimensions], ">i4") if len(data) >= 4 + 4 * dimensions else np.zeros(1, int)
    if header[0] != magic or len(data) != 4 + 4 * dimensions + int(np.prod(header[1:])):
        raise StudyError(
            f"corpus: {path} is no whole idx file of bytes with {dimensions} dimensions; fetch it again, or correct "
            "corpus.path."
        )
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(header[1:])


def hub_pictures(corpus: SimpleNamespace, images: SimpleNamespace) -> Iterator[Picture]:
    """The `train` split of a data set of images at a pinned commit."""
    check_revision(corpus)
    try:
        import datasets
    except ImportError as error:
        raise StudyError(
            "corpus: kind huggingface needs the package datasets, which is not installed; "
            "run `.venv/bin/pip install datasets`."
        ) from error
    try:
        rows: Any = datasets.load_dataset(str(corpus.path), revision=corpus.revision, split="train")
        rows = rows.cast_column(images.image_column, datasets.Image(decode=False))
    except Exception as error:  # whatever the library raises, from a missing network to a missing column
        raise StudyError(
            f"corpus: {corpus.path} at {corpus.revision} cannot be loaded as images ({' '.join(str(error).split())}); "
            "check name, revision, images.image_column and network"
        ) from error
    for number, row in enumerate(rows):
        source, held = f"{corpus.path}@{str(corpus.revision)[:8]}:{number}", row[images.image_column]
        if images.label_column not in row or not (held or {}).get("bytes"):
            raise StudyError(
                f"corpus: {source} has {kind_of(held)} in column {images.image_column!r} and the columns "
                f"{sorted(row)}, an image and a column {images.label_column!r} were expected; correct "
                "images.image_column or images.label_column."
            )
        yield Picture(str(row[images.label_column]), source, held["bytes"])
