"""The one exception that users see."""

from pathlib import Path


class StudyError(Exception):
    """A mistake the user can mend: one sentence with what was found, what was expected, what to do."""


class DamagedFile(StudyError):
    """A file cannot be read. The sentence is for one that this project wrote, and can write again."""

    def __init__(self, path: str | Path, reason: str):
        super().__init__(f"{path}: damaged or truncated ({reason}); delete it and run the study again.")
        self.path, self.reason = path, reason
