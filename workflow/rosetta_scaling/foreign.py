"""The one place where an exception of another library, or of the machine, becomes a sentence for the user."""

import errno
import re

from rosetta_scaling.store import StudyError

AGAIN = "then run the same command again: it continues"
DISK = {
    errno.ENOSPC: f"the disk is full; make room, or set cache_dir to a folder on a larger disk, {AGAIN}",
    errno.EDQUOT: f"your quota of the disk is used up; make room, or set cache_dir to a folder elsewhere, {AGAIN}",
    errno.EROFS: f"the disk cannot be written to; set cache_dir to a folder that can, {AGAIN}",
    errno.EACCES: "permission is denied; ask the owner to let the group read and write there (umask 002, chmod -R "
    f"g+rwX), or set cache_dir to a folder of your own, {AGAIN}",
}
MORE_MEMORY = "let fewer jobs run at a time (--cores 1), or lower matching.memory_mb or activations.batch_passages"


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
    return f"{DISK[code]} ({getattr(error, 'filename', None) or text})" if code in DISK else None
