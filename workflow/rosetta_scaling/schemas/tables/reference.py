"""docs/outputs.md, made from the schemas: every table, the rule that writes it, and every column.

python -m rosetta_scaling.schemas.tables.reference
"""

from pathlib import Path

from rosetta_scaling import WORKFLOW
from rosetta_scaling.schemas.tables.catalogue import CHAPTERS
from rosetta_scaling.schemas.tables.schema import Column, TableSchema

PAGE = WORKFLOW.parent / "docs" / "outputs.md"
HEAD = """# Tables

Made by `python -m rosetta_scaling.schemas.tables.reference`; do not edit.

Every table that a study writes, by the file in `results/STUDY/` (CACHE: the folder `cache_dir`), with the rule that
writes it. Capitals stand for names of the study. A table is checked against this description before it is written.
Numbers may be missing everywhere: an empty cell in csv. In *optional* columns the whole column may be missing.
"""


def described(column: Column) -> str:
    """A row of the table of columns."""
    kind = f"{column.kind}{', optional' if column.optional else ''}"
    cells = (f"`{column.name}`", kind, column.unit, column.meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def section(schema: TableSchema) -> str:
    lines = [f"### `{schema.file}`", "", f"Rule `{schema.rule}`. One row: {schema.rows}.", ""]
    lines += ["| column | kind | unit | meaning |", "|---|---|---|---|", *map(described, schema.columns), ""]
    return "\n".join(lines)


def page() -> str:
    parts = [HEAD]
    for chapter, schemas in CHAPTERS.items():
        parts += [f"## {chapter}\n", *map(section, schemas)]
    return "\n".join(parts)


def export() -> dict[Path, str]:
    """The files that are made from this module: path -> text. A test checks that they are current."""
    return {PAGE: page()}


if __name__ == "__main__":
    for path, written in export().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(written, encoding="utf-8")
        print(f"wrote {path}")
