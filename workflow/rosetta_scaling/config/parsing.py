"""Reads a configuration, and says in one sentence what is wrong with it."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rosetta_scaling.config.study import Study
from rosetta_scaling.store.errors import StudyError


def parse(values: dict) -> Study:
    """Check a dictionary read from YAML.

    Raises StudyError with one sentence per fault: the key, its value, and what is allowed.

    >>> parse({"study": "tiny"})
    Traceback (most recent call last):
    rosetta_scaling.store.errors.StudyError: configuration: 'families' is missing; 'curves' is missing
    """
    try:
        return Study.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(_sentence(fault) for fault in error.errors())
        raise StudyError(f"configuration: {_on_one_line(faults)}") from None


def load(path: str | Path) -> Study:
    """Read and check a YAML file. Raises StudyError if it cannot be read or a setting is wrong."""
    try:
        values = yaml.safe_load(Path(path).read_bytes())
    except (
        OSError,
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # ValueError: bytes, dates
        raise StudyError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise StudyError(f"{path}: expected keys and values, found {type(values).__name__}")
    return parse(values)


def _sentence(fault: ErrorDetails) -> str:
    """What is wrong with one key, in words of the configuration."""
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        section = _section_at(fault["loc"][:-1])
        allowed = f"; allowed here: {', '.join(section.model_fields)}" if section else ""
        return f"'{key}' is not a key{allowed}"
    if fault["type"] == "missing":
        return f"'{key}' is missing"
    if fault["type"] == "value_error":
        return f"{key + ': ' if key else ''}{fault['ctx']['error']}"
    return f"'{key}' is {fault['input']!r}; {fault['msg'].lower()}"


def _on_one_line(sentence: str) -> str:
    """The sentence with line breaks and other invisible characters escaped as in YAML; names of users may hold them."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in sentence)


def _section_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The configuration section that a pydantic error location points at."""
    section: type[BaseModel] | None = Study
    for step in location:
        if section and step in section.model_fields:
            section = section_of(section.model_fields[step].annotation)
        # any other step is a key of a dictionary or an index of a list, which stays in the same section
    return section


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The Section inside an annotation such as dict[Name, Family] or list[Criterion], if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = map(section_of, getattr(annotation, "__args__", ()))
    return next((section for section in inner if section), None)
