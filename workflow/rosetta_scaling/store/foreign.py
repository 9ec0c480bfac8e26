"""The one place where an exception of another library, or of the machine, becomes a sentence for the user.

Code of other libraries runs inside `explaining` or one of the contexts made from it. Whatever it raises becomes a
StudyError with a cause and a remedy, and stays its cause, so that a job can keep the traceback in a file beside its log
(see jobs/job.py). Lack of memory or of disk goes on as it is, because the job explains it, and an interrupt is never
touched. No sentence tells users to delete what is theirs.
"""

import contextlib
import errno
import functools
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from rosetta_scaling.store.errors import DamagedFile, StudyError

AGAIN = "then run the same command again: it continues"
DISK = {
    errno.ENOSPC: f"the disk is full; make room, or set cache_dir to a folder on a larger disk, {AGAIN}",
    errno.EDQUOT: f"your quota of the disk is used up; make room, or set cache_dir to a folder elsewhere, {AGAIN}",
    errno.EROFS: f"the disk cannot be written to; set cache_dir to a folder that can, {AGAIN}",
    errno.EACCES: "permission is denied; ask the owner to let the group read and write there (umask 002, chmod -R "
    f"g+rwX), or set cache_dir to a folder of your own, {AGAIN}",
}
MORE_MEMORY = "let fewer jobs run at a time (--cores 1), or lower matching.memory_mb or activations.batch_passages"
TRACEBACKS = logging.getLogger("traceback")
TRACEBACKS.setLevel(logging.INFO)
TRACEBACKS.propagate = False  # the terminal and the log have the sentence
POINTER = b"version https://git-lfs.github.com/spec/"
LONGEST_REASON = 300  # characters; some libraries write essays
LONGEST_HEADER = 100_000_000  # bytes; safetensors reads no longer one


def explained(error: BaseException) -> str | None:
    """The sentence for an error that the user can mend; None for one that is ours."""
    text = str(error)
    if isinstance(error, StudyError):
        return text
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return f"out of memory ({text.splitlines()[0] if text else 'a plain MemoryError'}); {MORE_MEMORY}"
    code = getattr(error, "errno", None)
    if code is None and (found := re.search(r"os error (\d+)", text)):  # safetensors tells it in its text only
        code = int(found[1])
    if code is None and re.fullmatch(r"\d+ requested and \d+ written", text):  # numpy does not tell why
        code = errno.ENOSPC
    return f"{DISK[code]} ({getattr(error, 'filename', None) or text})" if code in DISK else None


def keep_traceback(error: BaseException) -> None:
    """Keep for the curious what a sentence or a note leaves out: jobs write it to a file."""
    TRACEBACKS.info("", exc_info=error)


def is_foreign(error: BaseException) -> bool:
    """Whether an error still has to be explained: no sentence yet, no interrupt, no lack of memory or disk."""
    panic = type(error).__name__ == "PanicException"  # of libraries written in Rust; Python takes it for an exit
    return (isinstance(error, Exception) or panic) and explained(error) is None


def reason_of(error: BaseException) -> str:
    """What an exception says, on one line and not too long, after its kind where the text alone says nothing."""
    if value := wrong_value(error):
        return value
    if isinstance(error, DamagedFile):  # its sentence would have the file deleted
        return f"{Path(error.path).name}: {error.reason}"
    text = " ".join(str(error).split())
    if len(text) > LONGEST_REASON:
        text = f"{text[:LONGEST_REASON]}..."
    if isinstance(error, OSError | ValueError | RuntimeError | ImportError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextlib.contextmanager
def explaining(sentence: Callable[[BaseException], str]) -> Iterator[None]:
    """Run code of another library; what it raises becomes a StudyError with the `sentence` of that error."""
    try:
        yield
    except BaseException as error:
        if not is_foreign(error):
            raise
        raise StudyError(sentence(error)) from error


@contextlib.contextmanager
def reading_network(folder: str | Path, remedy: str = "write or download it again") -> Iterator[None]:
    """Read something of a network that lies in `folder`, whoever put it there; known causes have their own words."""
    try:
        with explaining(lambda error: _network_sentence(Path(folder), error, remedy)):
            yield
    except DamagedFile as error:  # its sentence would have the file deleted, but the folder may be the user's
        raise StudyError(_network_sentence(Path(folder), error, remedy)) from error


def reads_network(function: Callable) -> Callable:
    """A function that takes the folder of a network first, and runs as a whole inside `reading_network`."""

    @functools.wraps(function)
    def reading(folder: str | Path, *arguments, **named):
        with reading_network(folder):
            return function(folder, *arguments, **named)

    return reading


def _network_sentence(folder: Path, error: BaseException, remedy: str) -> str:
    for cause in (
        _pointer,
        _cut_weights,
        _config_that_is_no_json,
        _wrong_setting,
        _code_of_its_own,
        _quantised,
        _other_shapes,
    ):
        if found := cause(folder, error):
            return f"model folder {folder}: {found}{_if_it_is_ours(folder)}"
    if not isinstance(error, OSError | ValueError | RuntimeError | DamagedFile):
        remedy = f"a value in its config.json may be wrong: {remedy}"
    if isinstance(error, ImportError):
        remedy = "install that package into the environment of this project, or take another network"
    return f"model folder {folder} cannot be loaded ({reason_of(error)}); {remedy}{_if_it_is_ours(folder)}"


def _if_it_is_ours(folder: Path) -> str:
    """How a network that this project wrote is made again; it has a manifest, and so may a copy that a user made."""
    if not (folder / "manifest.json").is_file():
        return ""
    return " (if it lies in the cache of this project, move the folder away and run again: it is made anew)"


def pointer(path: Path) -> str:
    """The sentence for a file that stands for another one, as git-lfs leaves it behind; empty for other files."""
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        begins = file.read(len(POINTER))
    if begins != POINTER:
        return ""
    return (
        f"{path.name} is a git-lfs pointer of {path.stat().st_size} bytes, not the file itself: run `git lfs pull` "
        f"in {path.parent}"
    )


def _pointer(folder: Path, error: BaseException) -> str:
    names = [folder / "config.json", folder / "tokenizer.json", *sorted(folder.glob("*.safetensors"))]
    return next(filter(None, map(pointer, names)), "")


def _config_that_is_no_json(folder: Path, error: BaseException) -> str:
    try:
        values = json.loads((folder / "config.json").read_bytes())
    except OSError as found:
        return f"config.json cannot be read ({found.strerror}); a folder written by save_pretrained was expected"
    except (ValueError, RecursionError):
        return "config.json is no JSON, or is cut: write or download it again"
    if not isinstance(values, dict):
        return f"config.json holds a {type(values).__name__}, where an object was expected: write or download it again"
    return ""


def _cut_weights(folder: Path, error: BaseException) -> str:
    for path in filter(Path.is_file, sorted(folder.glob("*.safetensors"))):
        found, expected = path.stat().st_size, _expected_bytes(path)
        if expected is None:
            return (
                f"{path.name} ({found:,} bytes) does not begin as a safetensors file does: write or download it again"
            )
        if found < expected:
            return f"{path.name} is cut: it has {found:,} of {expected:,} bytes: write or download it again"
        if found > expected:
            return f"{path.name} has {found - expected:,} bytes more than its header says: write or download it again"
    return ""


def _expected_bytes(path: Path) -> int | None:
    """How long the header of a safetensors file says that it is; None where there is no such header."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > LONGEST_HEADER:
            return None
        text = file.read(min(size, path.stat().st_size))
    if len(text) < size and text.startswith(b"{"):
        return 8 + size
    try:
        ends = [about["data_offsets"][1] for name, about in json.loads(text).items() if name != "__metadata__"]
        return 8 + size + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None


def _wrong_setting(folder: Path, error: BaseException) -> str:
    value = wrong_value(error)
    return (
        f"config.json holds a value that this architecture does not take ({value}): correct it there" if value else ""
    )


def wrong_value(error: BaseException) -> str:
    """Which value a class of settings does not take, as huggingface_hub checks it; empty for other errors."""
    text = str(error)
    if type(error).__name__ == "StrictDataclassFieldValidationError":
        field = re.search(r"[Ff]ield '(\w+)' (expected .*)", text)
        return f"{field[1]}: {field[2]}" if field else " ".join(text.split())
    if type(error).__name__ == "StrictDataclassClassValidationError":
        return " ".join(text.partition(":\n")[2].split()) or " ".join(text.split())
    return ""


def _other_shapes(folder: Path, error: BaseException) -> str:
    if "ignore_mismatched_sizes" not in str(error):
        return ""
    return "its weights have other shapes than its config.json says: write or download both again"


def _code_of_its_own(folder: Path, error: BaseException) -> str:
    text = str(error)
    values = json.loads((folder / "config.json").read_bytes())
    kind = values.get("model_type") or values.get("_class_name")  # of a network of diffusers
    if "trust_remote_code" in text:
        return "it needs Python code of its own, which this project never runs: take another network"
    if kind and "does not recognize this architecture" in text:
        return f"this version of transformers does not know the model type {kind!r}: take another network"
    if "Should have a `model_type` key" in text or not kind:
        return "config.json names no model_type that transformers knows: write or download it again"
    return ""


def _quantised(folder: Path, error: BaseException) -> str:
    about = json.loads((folder / "config.json").read_bytes()).get("quantization_config")
    if about is None:
        return ""
    method = about.get("quant_method") if isinstance(about, dict) else None
    return (
        f"it is quantised with {method or 'an unnamed method'}, which needs what is not here ({reason_of(error)}): "
        "take the unquantised repository"
    )
