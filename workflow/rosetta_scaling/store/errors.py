"""The one exception that users see."""


class StudyError(Exception):
    """A mistake the user can mend: one sentence with what was found, what was expected, what to do."""
