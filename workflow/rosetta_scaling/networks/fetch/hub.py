"""Models from the Hugging Face hub, or a mirror of it, as `save_pretrained` folders of safetensors.

The environment decides as for other tools: HF_ENDPOINT, HF_TOKEN, HF_HOME and its cache, HF_HUB_OFFLINE.
"""

import contextlib
import errno
import logging
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError

from rosetta_scaling.networks.fetch.hub_files import File, Listing, choose, list_files, shards, vocabularies
from rosetta_scaling.networks.fetch.transfer import fetch, patiently, size, take_cached
from rosetta_scaling.store.atomic import atomic, folder_lock
from rosetta_scaling.store.digests import file_sha256
from rosetta_scaling.store.errors import StudyError
from rosetta_scaling.store.foreign import is_foreign
from rosetta_scaling.store.progress import Reporter
from rosetta_scaling.store.tables import read_json, write_json

log = logging.getLogger(__name__)


def download(repository: str, revision: str, folder: str | Path, work_dir: str | Path) -> dict:
    """Make `folder` a model of the hub, whole and verified, and return its manifest.json.

    `revision` is a branch, a tag or a commit; the manifest tells the commit. When the folder is whole, the hub is not
    asked; when not, it is replaced. What has arrived stays in `work_dir`, on the same disk, until all is there: a
    download that failed or was killed continues. A second process on the same model waits for the first. Raises a
    StudyError for whatever the user can mend.
    """
    folder, work_dir = Path(folder), Path(work_dir)
    with folder_lock(work_dir):
        if manifest := _finished(folder, repository, revision):
            return manifest
        files = work_dir / "files"
        files.mkdir(exist_ok=True)
        with _explained(repository, revision):
            listing = patiently(repository, partial(list_files, repository, revision))
            wanted = _wanted(repository, listing, files)
            _fetch(repository, listing, wanted, files)
        with _full_disk_explained(repository, wanted, files):
            converted = _convert(wanted, files)
        manifest = {
            "source": "hub",
            "repository": repository,
            "revision": revision,
            "commit": listing.commit,
            "endpoint": listing.endpoint,
            "licence": listing.licence,
            "files": _contents(wanted, files),
            "converted": converted,
        }
        write_json(files / "manifest.json", manifest)
        with atomic(folder) as part:
            files.rename(part)
    log.info("%s: %s, commit %s, is in %s", repository, revision, listing.commit, folder)
    return manifest


def configuration(repository: str, revision: str) -> dict:
    """config.json of a model of the hub, which tells its size before anything else is fetched."""
    with tempfile.TemporaryDirectory() as folder, _explained(repository, revision):
        listing = patiently(repository, partial(list_files, repository, revision))
        choose(repository, listing.files)  # refuses what cannot be used
        path, file = Path(folder) / "config.json", listing.files["config.json"]
        take_cached(repository, listing.commit, file, path)
        fetch(repository, listing.commit, file, path, report=lambda arrived: None)
        return read_json(path)


def _finished(folder: Path, repository: str, revision: str) -> dict | None:
    """The manifest of a folder that an earlier run has finished."""
    if not (folder / "manifest.json").exists():
        return None
    manifest = read_json(folder / "manifest.json")
    found = manifest.get("repository"), manifest.get("revision")
    if found != (repository, revision):
        raise StudyError(
            f"{folder} holds {found[0]} at {found[1]}, but {repository} at {revision} is expected there; choose "
            "another folder, or move this one away"
        )
    changed = [name for name, file in manifest["files"].items() if size(folder / name) != file["bytes"]]
    if changed:
        log.info("%s: %s in %s changed meanwhile, downloaded again", repository, ", ".join(changed), folder)
    return None if changed else manifest


def _wanted(repository: str, listing: Listing, files: Path) -> list[File]:
    """What is to be fetched, the small ones first, so that trouble shows early. Nothing else stays in `files`."""
    names, weights = choose(repository, listing.files)
    names.append(weights)
    if weights.endswith(".json"):
        _fetch(repository, listing, [listing.files[weights]], files)
        names += shards(files / weights, listing.files)
    for path in files.iterdir():
        if path.name not in names:  # of a commit that the branch pointed to before, or half converted
            path.unlink()
    return sorted((listing.files[name] for name in names), key=lambda file: file.size)


def _fetch(repository: str, listing: Listing, wanted: list[File], files: Path) -> None:
    with _full_disk_explained(repository, wanted, files):
        for file in wanted:
            take_cached(repository, listing.commit, file, files / file.name)
        if _bytes_needed(wanted, files) > shutil.disk_usage(files).free:
            raise _no_room(repository, wanted, files)
        total, before = sum(file.size for file in wanted), 0
        report = Reporter(log, repository, total, sum(size(files / file.name) for file in wanted))
        for file in wanted:
            path = files / file.name
            fetch(repository, listing.commit, file, path, report=partial(_report_sum, report, before))
            before += file.size


def _report_sum(report: Reporter, before: int, arrived: int) -> None:
    report(before + arrived)


def _bytes_needed(wanted: list[File], files: Path) -> int:
    missing = sum(max(0, file.size - size(files / file.name)) for file in wanted)
    return missing + sum(file.size for file in wanted if file.name.endswith(".bin"))  # there twice while rewritten


def _no_room(repository: str, wanted: list[File], files: Path) -> StudyError:
    need, free = _bytes_needed(wanted, files), shutil.disk_usage(files).free
    return StudyError(
        f"{repository} needs {need:,} bytes more on the disk of {files}, where {free:,} are free to you; make room "
        "there or set cache_dir to a folder on a larger disk"
    )


@contextlib.contextmanager
def _full_disk_explained(repository: str, wanted: list[File], files: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        code = getattr(error, "errno", None)  # safetensors tells it in its text only
        if code not in (errno.ENOSPC, errno.EDQUOT) and f"os error {errno.ENOSPC}" not in str(error):
            raise
        raise _no_room(repository, wanted, files) from error


def _convert(wanted: list[File], files: Path) -> list[dict]:
    """Rewrite what later jobs do not read. Tells which files were made, and the sha256 of what they were made from."""
    from rosetta_scaling.networks.fetch.convert import to_safetensors, write_tokenizer  # here, because it imports torch

    names = {file.name for file in wanted}
    pickles = [file for file in wanted if file.name.endswith(".bin")]
    made = []
    if pickles:
        sources = {file.name: file.digest for file in pickles}
        made += [
            {"file": new, "from": {old: sources[old]}} for new, old in to_safetensors(files, list(sources)).items()
        ]
    if "tokenizer.json" not in names and (originals := vocabularies(names)):
        write_tokenizer(files)
        made.append({"file": "tokenizer.json", "from": {name: file_sha256(files / name) for name in originals}})
    return made


def _contents(wanted: list[File], files: Path) -> dict[str, dict]:
    known = {file.name: file.digest for file in wanted if len(file.digest) == 64}  # of large files, compared already
    return {
        path.name: {"bytes": size(path), "sha256": known.get(path.name) or file_sha256(path)}
        for path in sorted(files.iterdir())
    }


@contextlib.contextmanager
def _explained(repository: str, revision: str) -> Iterator[None]:
    """One sentence for every error of huggingface_hub."""
    page = f"{constants.ENDPOINT}/{repository}"
    try:
        yield
    except GatedRepoError as error:
        raise StudyError(
            f"{repository} is gated and {_token()}; accept its licence at {page}, set HF_TOKEN to a token of that "
            "account and run again"
        ) from error
    except RepositoryNotFoundError as error:
        raise StudyError(
            f"there is no model {repository} at {constants.ENDPOINT}, or it is private and {_token()}; correct the "
            "name, or set HF_TOKEN to a token that may read it"
        ) from error
    except RevisionNotFoundError as error:
        raise StudyError(
            f"{repository} has no revision {revision!r}; set it to a branch, tag or commit that {page} lists"
        ) from error
    except OfflineModeIsEnabled as error:
        raise StudyError(
            f"HF_HUB_OFFLINE is set and {repository} at {revision} is not whole in the cache {constants.HF_HUB_CACHE}; "
            "download it on a machine with network first, by running this study or `hf download` there"
        ) from error
    except HFValidationError as error:
        raise StudyError(f"{repository!r} cannot be a model on the hub; a name like owner/model is expected") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        mend = f"{_token()}: set HF_TOKEN to a valid one" if status in (401, 403) else f"see {page}"
        reason = " ".join((error.server_message or "").split())
        raise StudyError(
            f"{constants.ENDPOINT} refuses {repository} at {revision} (HTTP {status} {reason}); {mend}"
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeEncodeError) as error:  # their texts may show the token
        raise StudyError(
            f"{constants.ENDPOINT} cannot be asked for {repository} ({type(error).__name__}); correct HF_ENDPOINT, "
            "HF_TOKEN or the proxy"
        ) from error
    except Exception as error:
        if not is_foreign(error):
            raise
        raise StudyError(
            f"{repository} at {revision} cannot be fetched from {constants.ENDPOINT} ({type(error).__name__}); run "
            "again, what has arrived is kept, or set HF_ENDPOINT to another mirror"
        ) from error


def _token() -> str:
    return "your token was refused" if get_token() else "HF_TOKEN is not set"
