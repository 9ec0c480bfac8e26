"""Generates the table of all configuration keys and the JSON schema for editors."""

import json
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel

from rosetta_scaling import WORKFLOW
from rosetta_scaling.config.parsing import section_of
from rosetta_scaling.config.study import Study


def documentation(section: type[BaseModel] = Study, prefix: str = "") -> list[tuple[str, str, str, str]]:
    """Rows (key, type, default, meaning) for every key; `*` stands for a name that the user chooses."""
    rows = []
    for key, field in section.model_fields.items():
        inner = section_of(field.annotation)
        name = prefix + key
        is_plain_section = inner is not None and inner is field.annotation
        if not is_plain_section:
            kind = _type_name(field.annotation)
            if field.is_required():
                default = "required"
            else:
                default = repr(field.get_default(call_default_factory=True)) if inner is None else ""
            rows.append((name, kind, default, field.description or ""))
        if inner:
            step = "" if is_plain_section else "[]." if str(field.annotation).startswith("list") else ".*."
            rows += documentation(inner, name + (step or "."))
    return rows


def _type_name(annotation: Any) -> str:
    """A type as the table shows it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_type_name, arguments))
    if annotation is ...:
        return "..."
    name = "null" if annotation is types.NoneType else (origin or annotation).__name__
    return f"{name}[{', '.join(map(_type_name, arguments))}]" if arguments else name


def export() -> dict[Path, str]:
    """Path and text of every generated file. A test checks that the files are current."""
    lines = ["# Configuration keys", "", "Made by `python -m rosetta_scaling.config.reference`; do not edit.", ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, kind, default, meaning in documentation():
        cells = [f"`{key}`", f"`{kind}`" if kind else "", f"`{default}`" if default else "", meaning]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    text = "\n".join(lines) + "\n"
    return {
        WORKFLOW.parent / "config/README.md": text,  # where catalogs of workflows look for it
        WORKFLOW.parent / "docs/configuration.md": text,
        WORKFLOW / "config.schema.json": json.dumps(Study.model_json_schema(), indent=1) + "\n",
    }


def main() -> None:
    for path, text in export().items():
        path.write_text(text)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
