"""Wheels that pip accepts, for tests of what is read from packages."""

from pathlib import Path
from zipfile import ZipFile, ZipInfo

from rosetta_scaling.store.digests import file_sha256


def make_wheel(
    folder: Path, name: str, files: dict[str, bytes], version: str = "1.0", *, tags: str = "py3-none-any"
) -> dict:
    """A wheel that pip accepts, and the registry's entry for it."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = name.replace("-", "_")
    path, info = folder / f"{plain}-{version}-{tags}.whl", f"{plain}-{version}.dist-info"
    with ZipFile(path, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(ZipInfo(file), content)  # without the time of day
        wheel.writestr(ZipInfo(f"{info}/METADATA"), f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(ZipInfo(f"{info}/WHEEL"), f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n")
        wheel.writestr(ZipInfo(f"{info}/RECORD"), "")
    about = {"name": name, "version": version, "sha256": file_sha256(path), "bytes": path.stat().st_size}
    return about | {"path": next(iter(files))}
